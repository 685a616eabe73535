"""Bytes that no client of ours sends, through nginx to the replicas."""

import gzip
import json
import random
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.hostile import tally
from tests.hostile.tally import Client

INFER = "/v2/models/text-classifier/infer"
PATHS = ("/predict", "/invocations", "/", INFER)
JSON = {"Content-Type": "application/json"}
SEED = 20


def around(path: str, fragment: bytes) -> bytes:
    """The body in which a JSON fragment is the text of a request to `path`."""
    if path == INFER:
        return b'{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":[' + fragment + b"]}]}"
    return b'{"%s":' % (b"input" if path == "/predict" else b"inputs") + fragment + b"}"


def said(text: str) -> bytes:
    return json.dumps(text).encode()


DEEP = b"[" * 100_000
LONG = {
    "words": "ab " * 33_333,
    "one word": "a" * 100_000,
    "blanks": " " * 99_999 + "a",
    "emoji": "\U0001f4a5" * 99_999,
    "families": "\U0001f469\u200d\U0001f467" * 33_000,
    "accents": "e" + "\u0301" * 99_990,
    "stacked accents": ("a" + "\u0489\u0300\u0301" * 3 + " ") * 9_000,
    "right to left": "\u202e\u05d0\u202c" * 33_000,
    "chinese": "\u6f22" * 99_999,
    "jamo": "\u1112\u1161\u11ab" * 33_000,
    "one that becomes many": "\ufdfa" * 99_999,
    "invisible": "\u200d" * 99_999,
    "tags": "\U000e0041" * 99_999,
    "special tokens": "[CLS][SEP][MASK][PAD]" * 4_700,
}
FRAGMENTS = {
    "deep": DEEP,
    "deep and closed": DEEP + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "NaN": b"NaN",
    "minus infinity": b"-Infinity",
    "a huge number": b"9" * 100_000,
    "1e999": b"1e999",
    "a long exponent": b"1e" + b"9" * 1000,
    "half a pair": b'"\\ud800"',
    "a pair reversed": b'"\\udc00\\ud800"',
    "zero": b'"a\\u0000b"',
    "raw zero": b'"a\0b"',
    "overlong": b'"\xc0\xaf"',
    "a raw half": b'"\xed\xa0\x80"',
    "4 MB": b'"' + b"a" * 4_194_000 + b'"',
    "100,000 texts": b"[" + b",".join([b'"x"'] * 100_000) + b"]",
    "512 texts": b"[" + b",".join([b'"x"'] * 512) + b"]",
    "40 long texts": b"[" + b",".join([said("ab " * 33_333)] * 40) + b"]",
    **{f"long: {name}": said(text) for name, text in LONG.items()},
}


@pytest.mark.timeout(600)
def test_hand_written_bodies(door: str) -> None:
    client, kind = Client(door), "bodies written by hand"
    for path in PATHS:
        for fragment in FRAGMENTS.values():
            client.ask(kind, "POST", path, around(path, fragment), JSON)
        small = around(path, b'"x"')
        for body in (b"", b'"', small + b"x", b"/*x*/" + small, b"\xef\xbb\xbf" + small, b"null", b"[]", b"0"):
            client.ask(kind, "POST", path, body, JSON)
        for encoding in ("utf-16", "utf-32", "utf-7"):
            client.ask(kind, "POST", path, small.decode().encode(encoding), JSON)
        for coding, body in (
            ("gzip", gzip.compress(small)),
            ("gzip", gzip.compress(b"a" * 200_000_000, 9)),
            ("gzip", gzip.compress(small)[:-9]),
            ("deflate", small),
            ("br, gzip", small),
        ):
            client.ask(kind, "POST", path, body, {**JSON, "Content-Encoding": coding})
        for depth in range(150, 1001, 50):
            client.ask(kind, "POST", path, around(path, b"[" * depth + b'"x"' + b"]" * depth), JSON)
    tally.check(kind)


REQUESTS = {
    "a bad chunk": b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "a negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
    "a huge chunk": b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
    "a trailer": b'Transfer-Encoding: chunked\r\n\r\nd\r\n{"input":"x"}\r\n0\r\nContent-Length: 5\r\n\r\n',
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "another coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "length and coding": b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "two lengths": b'Content-Length: 13\r\nContent-Length: 0\r\n\r\n{"input":"x"}',
    "a signed length": b'Content-Length: +13\r\n\r\n{"input":"x"}',
    "a length in words": b"Content-Length: abc\r\n\r\n",
    "an endless length": b"Content-Length: 99999999999999999999999\r\n\r\n",
    "a folded header": b"X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a zero in a header": b"X-A: a\0b\r\nContent-Length: 0\r\n\r\n",
    "1000 headers": b"".join(b"X-%d: a\r\n" % number for number in range(1000)) + b"\r\n",
    "a long header": b"X: " + b"a" * 9000 + b"\r\n\r\n",
    "an upgrade": b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
    "an expectation": b"Expect: nonsense\r\nContent-Length: 0\r\n\r\n",
}
LINES = [b"GET /v2/models/" + b"a" * size + b" HTTP/1.1" for size in (10, 7900, 9000)]
LINES += [
    b"GET /v2/models/%s HTTP/1.1" % name
    for name in (b"%00", b"%ff%fe", b"a%0d%0aX:1", b"\xff", b"\x01", b"%2e%2e/models")
]
LINES += [
    b"%s /predict HTTP/1.1" % method for method in (b"TRACE", b"CONNECT", b"PUT", b"get", b"PROPFIND", b"A" * 3000)
]
LINES += [
    b"GET /health HTTP/9.9",
    b"GET /health",
    b"PRI * HTTP/2.0",
    b"OPTIONS * HTTP/1.1",
    b"GET http://evil/health HTTP/1.1",
]
LINES += [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]


def test_hand_written_requests(door: str) -> None:
    kind = "requests written by hand"
    port = int(door.rpartition(":")[2])
    wire = [
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + tail
        for tail in REQUESTS.values()
    ]
    wire += [line + b"\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" for line in LINES]
    for data in wire:
        start, answer = time.monotonic(), b""
        with socket.create_connection(("127.0.0.1", port), 25) as raw:
            try:
                raw.sendall(data)
                raw.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(partial(raw.recv, 65536), b""))
            except ConnectionError:
                pass
        first = answer.split(b" ", 2)
        # What is no HTTP may find the connection closed; nobody waits for an answer to half a request.
        status = int(first[1]) if len(first) > 1 and first[1][:3].isdigit() else 400
        tally.note(kind, status, time.monotonic() - start, data[:100], answer)
    tally.check(kind)


TEXTS = [
    "ok",
    "",
    " ",
    "\0",
    "\U0001f4a5",
    "a" * 300,
    "\u202e",
    "</script>",
    "{{7*7}}",
    "' OR 1=1 --",
    "\x7f",
    "\ufeff",
]
SCALARS: list[object] = [*TEXTS, None, True, 0, -1, 1.5, 1e308, 10**30, [], {}, [[]], [["x"]], {"text": "x"}]
KEYS = [
    "input",
    "inputs",
    "instances",
    "top_k",
    "params",
    "parameters",
    "options",
    "dataframe_split",
    "dataframe_records",
]
KEYS += ["data", "columns", "name", "datatype", "shape", "id", "outputs", "text", "__proto__"]


def value(dice: random.Random, depth: int = 0) -> object:
    choice = dice.random()
    if choice < 0.55 or depth > 3:
        return dice.choice(SCALARS)
    if choice < 0.8:
        return [value(dice, depth + 1) for _ in range(dice.randrange(4))]
    return {dice.choice(KEYS): value(dice, depth + 1) for _ in range(dice.randrange(4))}


def any_bytes(dice: random.Random, _: str) -> tuple[bytes, dict[str, str]]:
    return dice.randbytes(dice.choice([1, 10, 100, 1000, 20_000])), JSON


def any_json(dice: random.Random, _: str) -> tuple[bytes, dict[str, str]]:
    found = {dice.choice(KEYS): value(dice) for _ in range(dice.randrange(1, 4))}
    return json.dumps(found).encode(), JSON


def damaged(dice: random.Random, path: str) -> tuple[bytes, dict[str, str]]:
    body = bytearray(around(path, said(dice.choice(TEXTS))))
    for _ in range(dice.randrange(1, 6)):
        place = dice.randrange(len(body))
        body[place : place + dice.randrange(3)] = dice.randbytes(dice.randrange(3)) or b"x"
    return bytes(body), dice.choice([JSON] * 9 + [{"Content-Type": "text/plain"}])


def binary(dice: random.Random, _: str) -> tuple[bytes, dict[str, str]]:
    head = b'{"inputs":[{"name":"text","datatype":"BYTES","shape":[%d]}]}' % dice.randrange(4)
    body = head
    for _number in range(dice.randrange(4)):
        body += struct.pack("<I", dice.choice([1, 1, 2, 0, 7, 2**31, 2**32 - 1])) + dice.randbytes(dice.randrange(4))
    told = dice.choice([len(head)] * 5 + [0, 5, len(body), len(body) + 1, 10**9])
    return body, {"Inference-Header-Content-Length": str(told)}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("make", [any_bytes, any_json, damaged, binary])
def test_random_bodies(door: str, make: Callable[[random.Random, str], tuple[bytes, dict[str, str]]]) -> None:
    kind = f"random: {make.__name__}"
    count, clients = max(1, tally.CASES // 5), 4

    def ask(number: int) -> None:
        dice, client = random.Random(SEED + number), Client(door)
        for _ in range(count // clients):
            path = INFER if make is binary else dice.choice(PATHS)
            body, headers = make(dice, path)
            client.ask(kind, "POST", path, body, headers)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask, range(clients)))
    tally.check(kind)


EARLY = [
    ("POST", "/health", JSON),
    ("PUT", "/predict", JSON),
    ("GET", "/predict", JSON),
    ("DELETE", "/", JSON),
    ("POST", "/openapi.json", JSON),
    ("POST", "/v2/models/other/infer", JSON),
    ("POST", "/predict", {"Content-Type": "text/plain"}),
    ("POST", "/predict", {**JSON, "Content-Encoding": "br"}),
    ("POST", "/predict", {**JSON, "Host": "elsewhere.example"}),
    ("POST", "/nowhere", JSON),
]


@pytest.mark.timeout(300)
def test_large_bodies_in_the_wrong_place_do_not_shut_the_door(door: str) -> None:
    kind = "large bodies that are refused early"
    body = around("/predict", b'"' + b"a" * 4_000_000 + b'"')
    for method, path, headers in EARLY:
        for _ in range(6):
            status = Client(door).ask(kind, method, path, body, headers)[0]
            assert 400 <= status < 500, (method, path, status)
        assert Client(door).ask("small, beside them", "POST", "/predict", around("/predict", b'"x"'), JSON)[0] == 200
    tally.check(kind)
