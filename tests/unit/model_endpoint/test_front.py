import io
import json
from pathlib import Path
from typing import Any

import pytest

from model_endpoint.api import create_app
from model_endpoint.front import EXCHANGE, Exchange, Shortcut
from tests.unit.model_endpoint import stub


def environ(body: bytes, **others: str) -> dict[str, Any]:
    given = {"REQUEST_METHOD": "POST", "PATH_INFO": "/predict", "CONTENT_TYPE": "application/json"}
    return {
        **given,
        "CONTENT_LENGTH": str(len(body)),
        **others,
        "wsgi.input": io.BytesIO(body),
        EXCHANGE: Exchange(),
    }


def ask(given: dict[str, Any], answer: Any) -> tuple[str, bytes]:
    """Who answered, and what."""
    seen: list[str] = []

    def flask(environ: dict[str, Any], _start: Any) -> list[bytes]:
        seen.append("flask")
        return [environ["wsgi.input"].read()]

    short = Shortcut(flask, "/predict", 100, answer)
    body = b"".join(short(given, lambda status, _headers: seen.append(status)))  # type: ignore[arg-type]
    return seen[0], body


def test_the_plain_case_does_not_reach_flask() -> None:
    assert ask(environ(b"text"), lambda body, _: body.decode().upper()) == ("200 OK", b"TEXT")


@pytest.mark.parametrize(
    "others",
    [
        {"PATH_INFO": "/ready"},
        {"REQUEST_METHOD": "GET"},
        {"CONTENT_TYPE": "application/json; charset=utf-8"},
        {"CONTENT_LENGTH": ""},
        {"CONTENT_LENGTH": "-4"},
        {"CONTENT_LENGTH": "101"},
    ],
)
def test_whatever_is_unusual_is_left_to_flask(others: dict[str, str]) -> None:
    assert ask(environ(b"text", **others), lambda _body, _: "short")[0] == "flask"


def test_what_goes_wrong_is_asked_of_flask_with_the_whole_body() -> None:
    def broken(_body: bytes, _exchange: Exchange) -> str:
        raise ValueError

    assert ask(environ(b"text"), broken) == ("flask", b"text")


def test_both_ways_say_the_same(tmp_path: Path) -> None:
    server = stub.server(tmp_path)
    client = create_app(server.settings, server).test_client()
    asked: list[dict[str, Any]] = [
        {"input": "good é"},
        {"input": ["good", "bad " * 60], "top_k": 1},
        {"input": []},
        {"inputs": "x"},
    ]
    for value in asked:
        body = json.dumps(value).encode()
        named = {"X-Request-Id": "mine"}
        short = client.post("/predict", data=body, content_type="application/json", headers=named)
        long = client.post("/predict", data=body, content_type="application/json; charset=utf-8", headers=named)
        assert (short.status_code, short.data) == (long.status_code, long.data)
        assert {*short.headers.items()} == {*long.headers.items()}
    counted = server.metrics.text().decode()
    assert 'model_requests_total{endpoint="predict",status="200"} 4.0' in counted
    assert 'model_requests_total{endpoint="predict",status="400"} 4.0' in counted
