"""What odd, hostile and too many requests get through the real nginx from real servers around a stub of a model."""

import gzip
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests

from tests.integration.model_endpoint.stack import TOKEN, Serving, serving
from tests.services import wait_until

BODY = b'{"input":"good"}'
JSON = b"Content-Type: application/json"
LENGTH = b"Content-Length: 16"
ZIPPED = gzip.compress(BODY, mtime=0)
POST = b"POST /predict HTTP/1.1"
GET = b"GET /health HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"10\r\n" + BODY + b"\r\n0\r\n\r\n"


@contextmanager
def stubbed(folder: Path, replicas: int, **variables: str) -> Iterator[Serving]:
    with serving("http://127.0.0.1:1", "text-classifier", folder, replicas, **variables) as fleet:
        fleet.module = "tests.integration.model_endpoint.stubbed"
        fleet.start()
        yield fleet


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with stubbed(tmp_path_factory.mktemp("stubbed"), 1) as fleet:
        yield fleet.door()


def ask(
    door: str, line: bytes, *headers: bytes, body: bytes = b"", host: bytes = b"Host: localhost"
) -> tuple[int, bytes]:
    """Sends these very bytes; the final status and the body of the answer."""
    with socket.create_connection(("127.0.0.1", int(door.rpartition(":")[2])), 5) as raw:
        raw.sendall(b"\r\n".join([line, *([host] if host else []), b"Connection: close", *headers, b"", body]))
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    head, _, said = answer.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, said = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), said


@pytest.mark.parametrize(
    ("line", "headers", "body", "status"),
    [
        (POST, [JSON, LENGTH], BODY, 200),
        (POST, [JSON, CHUNKED], CHUNKS, 200),
        (POST, [JSON, LENGTH, b"Expect: 100-continue"], BODY, 200),
        (POST, [JSON, LENGTH, b"Content-Encoding: gzip"], BODY, 400),
        (POST, [JSON, b"Content-Length: %d" % len(ZIPPED), b"Content-Encoding: gzip"], ZIPPED, 200),
        (POST, [JSON, LENGTH, b"Content-Encoding: br"], BODY, 415),
        (POST, [JSON, CHUNKED], b"zz\r\n" + CHUNKS, 400),
        (POST, [JSON, LENGTH, CHUNKED], CHUNKS, 400),
        (POST, [JSON, LENGTH, b"Content-Length: 15"], BODY, 400),
        (POST, [JSON, b"Transfer-Encoding: gzip"], BODY, 400),
        (POST, [JSON, b"Content-Length: -5"], b"", 400),
        (POST, [JSON, b"Content-Length: 99999999999999999999"], b"", 400),
        (POST, [JSON], b"", 400),
        (POST, [b"Content-Type: multipart/form-data; boundary=", LENGTH], BODY, 415),
        (b"POST /predict HTTP/2.0", [JSON, LENGTH], BODY, 400),
        (b"POST /predict HTTP/1.7", [JSON, LENGTH], BODY, 200),
        (b"PUT /predict HTTP/1.1", [JSON, LENGTH], BODY, 405),
        (b"FOO /predict HTTP/1.1", [], b"", 405),
        (b"TRACE /predict HTTP/1.1", [], b"", 405),
        (b"CONNECT /predict HTTP/1.1", [], b"", 405),
        (b"get /health HTTP/1.1", [], b"", 400),
        (b"OPTIONS * HTTP/1.1", [], b"", 400),
        (b"GET /health%zz HTTP/1.1", [], b"", 400),
        (b"GET /health%00 HTTP/1.1", [], b"", 400),
        (b"GET /health%0a HTTP/1.1", [], b"", 404),
        (b"GET /v2/models/%ff%fe HTTP/1.1", [], b"", 404),
        (b"GET /v2/models/a%0d%0aX-Evil:1 HTTP/1.1", [], b"", 404),
        (b"GET /health?" + b"a" * 7000 + b" HTTP/1.1", [], b"", 200),
        (b"GET /health?" + b"a" * 9000 + b" HTTP/1.1", [], b"", 400),
        (GET, [b"X-%d: a" % number for number in range(300)], b"", 200),
        (GET, [b"X-A: " + b"a" * 7000], b"", 200),
        (GET, [b"X-A: " + b"a" * 9000], b"", 400),
        (GET, [b"X-A: a\x01b", b"X-B: \xff\xfe", b"Range: bytes=0-", b"Upgrade: websocket"], b"", 200),
        (GET, [b"X-A: a\x00b"], b"", 400),
        (GET, [b"X-A: a", b" folded"], b"", 400),
        (GET, [b"X A: a"], b"", 400),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_odd_requests_get_an_answer_and_never_a_5xx(
    door: str, line: bytes, headers: list[bytes], body: bytes, status: int
) -> None:
    found, said = ask(door, line, *headers, body=body)
    assert found == status, said
    if status >= 400:
        assert set(json.loads(said)) == {"error"}


def test_head_and_options_and_no_host(door: str) -> None:
    assert ask(door, b"HEAD / HTTP/1.1") == (200, b"")
    assert ask(door, b"OPTIONS /predict HTTP/1.1")[0] == 200
    assert ask(door, GET, host=b"")[0] == 400
    assert ask(door, GET, host=b"Host: y z")[0] == 400
    assert ask(door, b"GET /health HTTP/1.0", host=b"")[0] == 200


@pytest.mark.parametrize("name", [b"models", b"metrics", b"change_model", b"models/commit", b"models/withdraw"])
def test_the_inside_stays_inside_whatever_the_spelling(door: str, name: bytes) -> None:
    first, rest = b"%%%02x" % name[0], name[1:]
    paths = [
        *(b"/" + name, b"//" + name, b"/./" + name, b"/" + name + b"/", b"/" + name.upper(), b"/" + first + rest),
        *(b"/predict/../" + name, b"/v2/../" + name, b"/v2/%2e%2e/" + name, b"/v2/..%2f" + name, b"/v2/.%2e/" + name),
        *(b"/%2e%2e/" + name, b"/v2/..;/" + name, b"/v2\\..\\" + name, b"/predict%2f..%2f" + name, b"/../" + name),
        *(b"/v2/%252e%252e/" + name, b"/" + name + b"?/health", b"/" + name + b"%3f/../health"),
        *(b"/" + name + b"%23/../health", b"/" + name + b";/../health", b"//" + name + b"/../health"),
        *(b"http://x/" + name, b"http://x/v2/../" + name, b"/" + name + b"%0a", b"/" + name + b"%20"),
    ]
    token = b"Authorization: Bearer " + TOKEN.encode()
    for path in paths:
        for method, body in ((b"GET", b""), (b"POST", b"{}")):
            headers = (token, JSON, b"Content-Length: %d" % len(body), b"X-Original-URL: /" + name)
            status, said = ask(door, method + b" " + path + b" HTTP/1.1", *headers, body=body)
            assert status in (400, 404, 405), path
            assert b"replica" not in said and b"# HELP" not in said, path


def test_what_is_in_a_text_does_not_matter(door: str) -> None:
    for text in ("<script>alert(1)</script>", "a\tb\r\nc", "\u202e\ufeff\u200b good", "\U0001f600" * 100, "é" * 1000):
        answer = requests.post(f"{door}/predict", json={"input": text}, timeout=5)
        assert answer.status_code == 200 and "<" not in answer.text
    twice = requests.post(
        f"{door}/predict", data=b'{"input": "bad", "input": "good"}', headers={"Content-Type": "application/json"},
        timeout=5,
    )  # fmt: skip
    assert twice.json()["predictions"][0]["label"] == "positive"


def test_overload_is_refused_soon_and_the_rest_is_answered(tmp_path: Path) -> None:
    load = {"STUB_SECONDS": "0.05", "MODEL_MAX_REQUESTS": "2", "MODEL_CORES": "1"}
    with stubbed(tmp_path, 2, **load) as fleet:
        door = fleet.door(MAX_CONNECTIONS="2")

        def answer(_: int) -> tuple[int, float, str | None]:
            start = time.monotonic()
            found = requests.post(f"{door}/predict", json={"input": "good"}, timeout=10)
            assert found.ok or "error" in found.json()
            return found.status_code, time.monotonic() - start, found.headers.get("Retry-After")

        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(answer, range(120)))
        assert {status for status, _, _ in found} == {200, 503}
        assert all(after == "1" for status, _, after in found if status == 503)
        assert max(seconds for _, seconds, _ in found) < 2
        # Whoever is refused does not make nginx take the replicas for dead.
        assert answer(0)[0] == 200


def test_many_idle_connections_keep_nobody_waiting(tmp_path: Path) -> None:
    """Threads stay with a connection for a moment; far more connections than threads are open here."""
    with stubbed(tmp_path, 1, MODEL_MAX_REQUESTS="1") as fleet:
        idle = [HTTPConnection("127.0.0.1", fleet.replicas[0].port, timeout=5) for _ in range(60)]
        try:
            for connection in idle:
                for _ in range(2):  # two on each, so that its thread has stayed
                    connection.request("POST", "/predict", BODY, {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    assert answer.status == 200 and answer.read()
            start = time.monotonic()
            assert requests.get(f"{fleet.replicas[0].url}/health", timeout=5).ok
            assert time.monotonic() - start < 2
        finally:
            for connection in idle:
                connection.close()


def test_a_request_that_kills_a_replica_is_not_sent_to_the_next(tmp_path: Path) -> None:
    with stubbed(tmp_path, 2) as fleet:
        door = fleet.door()
        before = [replica.worker for replica in fleet.replicas]
        answer = requests.post(f"{door}/predict", json={"input": "kill"}, timeout=20)
        assert answer.status_code == 503 and "error" in answer.json()
        wait_until("a new worker", lambda: all(replica.up() for replica in fleet.replicas), 30)
        after = [replica.worker for replica in fleet.replicas]
        assert sum(old != new for old, new in zip(before, after, strict=True)) == 1


def test_a_request_that_takes_too_long_is_not_sent_to_the_next(tmp_path: Path) -> None:
    with stubbed(tmp_path, 2, STUB_SECONDS="3") as fleet:
        door = fleet.door(NGINX_REPLICA_TIMEOUT="1s")
        start = time.monotonic()
        answer = requests.post(f"{door}/predict", json={"input": "good"}, timeout=20)
        assert answer.status_code == 503 and time.monotonic() - start < 3
        in_work = [requests.get(f"{replica.url}/metrics", timeout=5).text for replica in fleet.replicas]
        assert sum("model_requests_in_work 1.0" in text for text in in_work) <= 1


def test_a_panic_costs_one_answer_and_no_process(tmp_path: Path) -> None:
    with stubbed(tmp_path, 2) as fleet:
        door = fleet.door()
        before = [replica.worker for replica in fleet.replicas]
        for path, field in (("predict", "input"), ("invocations", "inputs"), ("", "inputs")):
            for _ in range(10):
                answer = requests.post(f"{door}/{path}", json={field: "panic"}, timeout=20)
                assert answer.status_code == 500 and answer.json()["error"]["code"] == "model_broke"
        assert [replica.worker for replica in fleet.replicas] == before
        assert requests.post(f"{door}/predict", json={"input": "good"}, timeout=5).ok


def test_what_nobody_waits_for_is_given_up(tmp_path: Path) -> None:
    with stubbed(tmp_path, 1, STUB_SECONDS="0.2", MODEL_ANSWER_SECONDS="60", MODEL_CORES="2") as fleet:
        door, replica = fleet.door(), fleet.replicas[0]

        def in_work() -> bool:
            return "model_requests_in_work 0.0" not in requests.get(f"{replica.url}/metrics", timeout=5).text

        body = json.dumps({"input": ["good"] * 500}).encode()
        for address in (door, replica.url):
            place = address.partition("//")[2].partition(":")
            client = HTTPConnection(place[0], int(place[2]), timeout=5)
            client.request("POST", "/predict", body, {"Content-Type": "application/json"})
            wait_until("it is in work", in_work, 5)
            client.close()
            wait_until("it is given up", lambda: not in_work(), 3)
        assert 'status="499"} 2.0' in requests.get(f"{replica.url}/metrics", timeout=5).text


def test_a_replica_without_a_model_sends_requests_on(tmp_path: Path) -> None:
    with stubbed(tmp_path, 1, STUB_EMPTY="1") as fleet:
        door = fleet.door()
        alone = requests.post(f"{door}/predict", json={"input": "good"}, timeout=5)
        assert alone.status_code == 503 and "run the pipeline" in alone.json()["error"]["message"]
        fleet.add(1)
        del fleet.variables["STUB_EMPTY"]
        fleet.start(fleet.replicas[1])
        door = fleet.door()
        found = {requests.post(f"{door}/predict", json={"input": "good"}, timeout=5).status_code for _ in range(30)}
        assert found == {200}
        assert requests.get(f"{door}/ready", timeout=5).ok


def test_pages_of_the_named_origins_may_ask(tmp_path: Path) -> None:
    with stubbed(tmp_path, 1, MODEL_CORS_ORIGINS="https://app.example.org, http://localhost:3000") as fleet:
        door = fleet.door()

        def asked(origin: str) -> requests.Response:
            preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            allowed = requests.options(f"{door}/predict", headers=preflight, timeout=5)
            assert allowed.ok
            methods = allowed.headers.get("Access-Control-Allow-Methods", "")
            assert ("POST" in methods) == ("Access-Control-Allow-Origin" in allowed.headers)
            return requests.post(f"{door}/predict", json={"input": "good"}, headers={"Origin": origin}, timeout=5)

        for origin in ("https://app.example.org", "http://localhost:3000"):
            assert asked(origin).headers["Access-Control-Allow-Origin"] == origin
        for origin in ("https://evil.example.org", "https://app.example.org.evil", "null", "http://app.example.org"):
            assert "Access-Control-Allow-Origin" not in asked(origin).headers
        refused = requests.post(
            f"{door}/predict", json={"input": ""}, headers={"Origin": "http://localhost:3000"}, timeout=5
        )
        assert refused.status_code == 400 and refused.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


@pytest.mark.parametrize("origins", ["https://app.example.org, http://localhost:3000", "http://localhost:3000", "*"])
def test_pages_may_read_the_doors_own_errors_too(tmp_path: Path, origins: str) -> None:
    page = {"Origin": "http://localhost:3000"}
    with stubbed(tmp_path, 1, MODEL_CORS_ORIGINS=origins) as fleet:
        door = fleet.door(NGINX_CORS_ORIGINS=origins, NGINX_RATE="1r/m", NGINX_BURST="5")
        large = requests.post(f"{door}/predict", data=b"x" * 100_000, headers=page, timeout=5)
        lost = requests.get(f"{door}/nothing", headers=page, timeout=5)
        good = requests.post(f"{door}/predict", json={"input": "good"}, headers=page, timeout=5)
        other = requests.get(f"{door}/nothing", headers={"Origin": "http://localhost:30001"}, timeout=5)
        answers = [requests.get(f"{door}/health", headers=page, timeout=5) for _ in range(6)]
        many = next(answer for answer in answers if answer.status_code == 429)
        wanted = "*" if origins == "*" else page["Origin"]
        for answer, status in ((large, 413), (lost, 404), (good, 200), (many, 429)):
            assert answer.status_code == status
            assert answer.headers["Access-Control-Allow-Origin"] == wanted  # once, not twice
        assert many.headers["Retry-After"] == "1"
        assert "Retry-After" in many.headers["Access-Control-Expose-Headers"]
        assert ("Access-Control-Allow-Origin" in other.headers) == (origins == "*")


def test_other_pages_may_not_unless_told(door: str) -> None:
    headers = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST"}
    for answer in (
        requests.options(f"{door}/predict", headers=headers, timeout=5),
        requests.post(f"{door}/predict", json={"input": "good"}, headers=headers, timeout=5),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"PUT", b"DELETE", b"PATCH", b"FOO"])
@pytest.mark.parametrize("path", [b"/predict", b"/v2/models/a/infer", b"/health"])
def test_a_wrong_method_is_told_which_are_right(door: str, method: bytes, path: bytes) -> None:
    with socket.create_connection(("127.0.0.1", int(door.rpartition(":")[2])), 5) as raw:
        raw.sendall(method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head, _, said = b"".join(iter(lambda: raw.recv(65536), b"")).partition(b"\r\n\r\n")
    assert head.split()[1] == b"405" and b"\r\nAllow: " in head
    assert isinstance(json.loads(said)["error"], str if path.startswith(b"/v2") else dict)


def test_the_doors_own_errors_have_the_shape_of_the_asked_protocol(tmp_path: Path) -> None:
    with stubbed(tmp_path, 1) as fleet:
        door = fleet.door()
        large = {"inputs": ["a" * 100_000]}
        answer = requests.post(f"{door}/v2/models/text-classifier/infer", json=large, timeout=5)
        assert answer.status_code == 413 and isinstance(answer.json()["error"], str)
        assert isinstance(requests.get(f"{door}/nothing", timeout=5).json()["error"], dict)
        assert isinstance(requests.get(f"{door}/v2/models/x%0a", timeout=5).json()["error"], str)


def test_large_requests_wait_and_small_ones_do_not(tmp_path: Path) -> None:
    """More large requests at a time than are read at a time: none fails, and small ones are answered beside them."""
    with stubbed(tmp_path, 1, STUB_SECONDS="0.02", MODEL_CORES="1") as fleet:
        door = fleet.door(NGINX_MAX_BODY="4m")

        def ask_for(texts: list[str]) -> str:
            answer = requests.post(f"{door}/predict", json={"input": texts}, timeout=60)
            return "answered" if answer.ok else answer.text

        with ThreadPoolExecutor(24) as pool:
            large = [pool.submit(ask_for, ["ab " * 33_000] * 40) for _ in range(16)]
            assert {ask_for(["good"]) for _ in range(5)} == {"answered"}
            assert {future.result() for future in large} == {"answered"}


def test_a_replica_that_stops_takes_no_more_connections_and_answers_what_it_has(tmp_path: Path) -> None:
    with stubbed(tmp_path, 2, STUB_SECONDS="0.02") as fleet:
        door = fleet.door()
        stop = time.monotonic() + 6

        def ask_on(_: int) -> list[int]:
            statuses = []
            with requests.Session() as session:
                while time.monotonic() < stop:
                    statuses.append(session.post(f"{door}/predict", json={"input": "good"}, timeout=10).status_code)
            return statuses

        with ThreadPoolExecutor(8) as pool:
            found = pool.map(ask_on, range(8))
            time.sleep(1)
            os.kill(fleet.replicas[0].process.pid, signal.SIGTERM)
            statuses = [status for one in found for status in one]
        assert len(statuses) > 50 and set(statuses) == {200}
