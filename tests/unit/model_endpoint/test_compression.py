import gzip
import json
import zlib

import pytest
from flask.testing import FlaskClient

from model_endpoint.compression import plain
from model_endpoint.errors import InvalidInput, TooLarge, UnknownEncoding

BODY = json.dumps({"input": "good"}).encode()
# The same in each process that runs a part of the tests.
ZIPPED = gzip.compress(BODY, mtime=0)


def bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


FORMS = [
    ("gzip", ZIPPED),
    ("x-gzip", ZIPPED),
    ("GZip", gzip.compress(BODY[:5], mtime=0) + gzip.compress(BODY[5:], mtime=0)),
    ("deflate", zlib.compress(BODY)),
    ("deflate", bare(BODY)),
    ("identity", BODY),
    ("identity, gzip", ZIPPED),
]


@pytest.mark.parametrize(("encoding", "data"), FORMS)
def test_every_form_is_answered_by_every_protocol(client: FlaskClient, encoding: str, data: bytes) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    assert client.post("/predict", data=data, headers=headers, buffered=True).status_code == 200
    for path in ("/invocations", "/", "/v2/models/text-classifier/infer"):
        assert client.post(path, data=data, headers=headers, buffered=True).status_code == 400, path


def test_what_it_becomes_is_bounded(client: FlaskClient) -> None:
    for encoding, data in (("gzip", gzip.compress(b" " * 50_000_000)), ("deflate", zlib.compress(b" " * 20_001))):
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        answer = client.post("/predict", data=data[:20_000], headers=headers, buffered=True)
        assert answer.status_code == 413 and answer.json and "20000 bytes" in answer.json["error"]["message"]
    assert plain(gzip.compress(b"a" * 1000), "gzip", 1000) == b"a" * 1000
    with pytest.raises(TooLarge):
        plain(gzip.compress(b"a" * 600) * 2, "gzip", 1000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, br", "nonsense"])
def test_another_compression_is_named(client: FlaskClient, encoding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    answer = client.post("/predict", data=BODY, headers=headers, buffered=True)
    assert answer.status_code == 415 and answer.json and repr(encoding) in answer.json["error"]["message"]
    with pytest.raises(UnknownEncoding):
        plain(BODY, encoding, 100)


@pytest.mark.parametrize("data", [BODY, ZIPPED[:-4], ZIPPED[:5], ZIPPED + b"x"])
def test_damage_is_the_clients(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        plain(data, "gzip", 1000)
    with pytest.raises(InvalidInput):
        plain(zlib.compress(BODY)[:-3], "deflate", 1000)
    with pytest.raises(InvalidInput):
        plain(zlib.compress(BODY) + b"x", "deflate", 1000)
