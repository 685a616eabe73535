"""Under which names a replica answers; nginx hands on the name that it was asked by."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from model_endpoint.api import create_app
from tests.unit.model_endpoint import stub

FILM = {"input": "a good film"}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost@evil.example"]
)
def test_a_page_of_another_name_gets_no_prediction(client: FlaskClient, host: str) -> None:
    for answer in (client.post("/predict", json=FILM, headers={"Host": host}), client.get("/", headers={"Host": host})):
        assert answer.status_code == 403
        assert "NGINX_EXTRA_HOSTS" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize(
    "host", ["localhost:8000", "127.0.0.1", "192.0.2.1:8000", "[::1]:8000", "nginx", "model-endpoint:9998"]
)
def test_its_own_names_and_addresses_get_one(client: FlaskClient, host: str) -> None:
    assert client.post("/predict", json=FILM, headers={"Host": host}).status_code == 200


def test_more_names_can_be_set(tmp_path: Path) -> None:
    server = stub.server(tmp_path, NGINX_EXTRA_HOSTS="classify.example.org, *.corp.example")
    client = create_app(server.settings, server).test_client()
    for host in ("classify.example.org", "a.corp.example:443"):
        assert client.post("/predict", json=FILM, headers={"Host": host}).status_code == 200
    assert client.post("/predict", json=FILM, headers={"Host": "example.org"}).status_code == 403
