"""Every answer says its request's id."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from model_endpoint.api import create_app
from tests.unit.model_endpoint import stub

ASKED = [
    ("POST", "/predict", {"input": "good"}, 200),
    ("POST", "/invocations", {"inputs": ["good"]}, 200),
    ("POST", "/predict", {"input": []}, 400),
    ("POST", "/predict", {"input": ["good"] * 21}, 413),
    ("GET", "/nothing", None, 404),
    ("GET", "/predict", None, 405),
    ("POST", "/models/hold", {"version": 1}, 401),
    ("GET", "/", None, 200),
    ("GET", "/classifiers/none/predict", None, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ASKED)
def test_the_id_that_is_given_comes_back(
    client: FlaskClient, method: str, path: str, body: object, status: int
) -> None:
    headers = {"X-Request-Id": "01J9-abc.DEF:1/2=+@~_"}
    answer = client.open(path, method=method, json=body, headers=headers, buffered=True)
    assert answer.status_code == status
    assert answer.headers.getlist("X-Request-Id") == ["01J9-abc.DEF:1/2=+@~_"]


@pytest.mark.parametrize("given", [None, "", "a" * 129, "a b", "a,b", "ä", '"', "<script>", "a\tb", "٣"])
def test_without_one_that_can_be_an_id_a_new_one_is_made(client: FlaskClient, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-Id": given.encode().decode("latin-1")}
    said = [
        client.post("/predict", json={"input": "good"}, headers=headers, buffered=True).headers.getlist("X-Request-Id")
        for _ in range(2)
    ]
    assert [len(one) for one in said] == [1, 1] and said[0] != said[1]
    assert all(len(one) == 32 and one.isalnum() for (one,) in said)


def test_a_foreign_name_in_the_host_header_is_answered_with_one_too(client: FlaskClient) -> None:
    answer = client.get("/health", headers={"Host": "elsewhere.example"}, buffered=True)
    assert answer.status_code == 403 and answer.headers["X-Request-Id"]


def test_a_page_of_another_origin_may_send_and_read_it(tmp_path: Path) -> None:
    server = stub.server(tmp_path, MODEL_CORS_ORIGINS="https://app.example.org")
    client = create_app(server.settings, server).test_client()
    asked = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST"}
    headers = client.options("/predict", headers=asked, buffered=True).headers
    assert "X-Request-Id" in headers["Access-Control-Allow-Headers"]
    assert "X-Request-Id" in headers["Access-Control-Expose-Headers"]
