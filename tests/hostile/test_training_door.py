"""What is sent to the training endpoint, by the platform's own token: nothing is a 5xx, and no valid job is changed."""

import json
import random

import pytest

from tests.hostile import tally
from tests.hostile.conftest import TOKEN
from tests.hostile.tally import Client

KIND = "training endpoint"
JSON = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
TRAIN = [
    b"[" * 60_000,
    b'{"a":' * 10_000,
    b'{"run_id":"x","base_model":"a\\u0000b"}',
    b'{"run_id":"y","base_model":"\\ud800"}',
    b'{"run_id":"a\\u0000b"}',
    b'{"run_id":"\\ud800"}',
    b'{"run_id":"z","epochs":1e400}',
    b'{"run_id":"z","learning_rate":NaN}',
    b'{"run_id":"z","seed":' + b"9" * 5000 + b"}",
    b'{"run_id":"z","seed":' + b"9" * 4000 + b"}",
    b'{"run_id":"z","epochs":true}',
    b'{"run_id":"z","start_from":["champion"]}',
    b'{"run_id":"z","start_from":{}}',
    b'{"run_id":"z","base_model":"' + b"a/" * 200 + b'"}',
    b'{"run_id":"z","\\ud800":1}',
    b'{"run_id":"z","a\\u0000":1}',
    b"\xff\xfe{",
    b"",
    b"null",
    b'"x"',
    '{"run_id":""}'.encode("utf-16"),
]
PATHS = ["/train/%00", "/train/%ff", "/train/" + "a" * 5000, "/train/%ed%a0%80", "/train/..%2fhealth", "//train"]
QUERIES = ["%00", "9" * 5000, "%d9%a3", "", "-1", "1&limit=x", "1.0", "%ff"]
FIELDS = ["run_id", "epochs", "batch_size", "learning_rate", "max_rows", "seed", "base_model", "start_from", "x"]
VALUES: list[object] = [
    None,
    True,
    -1,
    0,
    2**63,
    10**300,
    1e308,
    "",
    " ",
    "\0",
    "\ud800",
    "\u202e",
    "a" * 300,
    [],
    {},
    [[[]]],
]
VALUES += ["../..", "';--", "%s", "{}", "{0.__class__}", "\n"]


def test_hand_written(training_door: str) -> None:
    client = Client(training_door)
    for body in TRAIN:
        assert client.ask(KIND, "POST", "/train", body, JSON)[0] in (400, 413, 422), body[:60]
    for path in PATHS:
        for method in ("GET", "DELETE"):
            client.ask(KIND, method, path, None, JSON)
    for query in QUERIES:
        assert client.ask(KIND, "GET", f"/train?limit={query}", None, JSON)[0] in (200, 422), query
    for method in ("TRACE", "PUT", "PATCH", "OPTIONS", "HEAD"):
        client.ask(KIND, method, "/train", None, JSON)
    for header in ("Bearer \xe9", "", "Basic YTpi", "Bearer", f"bearer {TOKEN}", f"Bearer {TOKEN}x"):
        status, _ = client.ask(KIND, "POST", "/train", b'{"run_id":"x"}', {**JSON, "Authorization": header})
        assert status == 401, header
    tally.check(KIND)


@pytest.mark.timeout(900)
def test_random(training_door: str) -> None:
    dice, client, kind = random.Random(7), Client(training_door), f"{KIND}, random"
    for _ in range(max(1, tally.CASES // 5)):
        path = dice.choice(["/train", "/train", "/promote", "/rollback", "/unpin"])
        body = dice.randbytes(dice.randrange(400))
        if dice.random() < 0.7:
            found = {dice.choice(FIELDS): dice.choice(VALUES) for _ in range(dice.randrange(1, 5))}
            found["run_id" if path == "/train" else "reason"] = dice.choice(["", "\0", None, 5, "x" * 1001])
            text = bytearray(json.dumps(found).encode())
            for _ in range(dice.randrange(3)):
                text[dice.randrange(len(text))] = dice.randrange(256)
            body = bytes(text)
        client.ask(kind, dice.choice(["POST"] * 9 + ["PUT"]), path, body, JSON)
    tally.check(kind)
