"""Several classifiers in one replica: each at a path of its own, with its own switches, over one pool of cores."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mlops_contract.voucher import Voucher
from model_endpoint.api import create_app
from model_endpoint.classifiers import Classifiers
from model_endpoint.memory import Memory
from model_endpoint.replica import Replica
from model_endpoint.slot import Loaded
from model_endpoint.standing import Standing
from tests.unit.model_endpoint import stub

TOKEN = {"Authorization": f"Bearer {stub.TOKEN}"}
NAMES = {"names": ["films", "spam"], "default": "films"}


class Named(stub.Stub):
    """Says whose model it is."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.labels = [f"not {name}", name]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setattr(Replica, "_load", lambda self, voucher: Loaded(voucher, Named(voucher.name)))
    monkeypatch.setattr(Standing, "watched", lambda self: None)  # no desk is here that lends it the right to answer
    server = stub.server(tmp_path, MODEL_ENDPOINTS="127.0.0.1:9")
    made = create_app(server.settings, server)
    yield made
    made.extensions["classifiers"].keep([], "", {})  # ends their threads


def keep(app: Flask, **body: Any) -> None:
    answer = app.test_client().post("/models/classifiers", json={**NAMES, **body}, headers=TOKEN)
    assert answer.status_code == 200, answer.text


def switch(app: Flask, name: str, number: int, epoch: int) -> None:
    """As the release desk does it."""
    client, place = app.test_client(), f"/classifiers/{name}/models"
    voucher = Voucher(name, number, f"run{number}", "place", {"serving/manifest.json": f"{number:064x}"})
    body = {"version": number, "epoch": epoch, "leader": "me"}
    assert client.post(f"{place}/prepare", json={"voucher": voucher.as_dict()}, headers=TOKEN).status_code == 200
    for move in ("hold", "commit"):
        assert client.post(f"{place}/{move}", json=body, headers=TOKEN).status_code == 200


def asked(client: FlaskClient, path: str, text: str = "good") -> dict[str, Any]:
    answer = client.post(path, json={"input": text}, buffered=True)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.get_json()
    return {"label": told["predictions"][0]["label"], **told["model"]}


def test_what_people_should_know_of_each_is_told(app: Flask) -> None:
    keep(app, notes={"spam": "left out: 3 rows of a new class"})
    told = app.test_client().get("/classifiers").get_json()["classifiers"]
    assert {one["name"]: one["note"] for one in told} == {"films": "", "spam": "left out: 3 rows of a new class"}


def test_the_desk_sees_what_it_has_told_already(app: Flask) -> None:
    """A replica that has just started knows nothing, and says so."""

    def known() -> str | None:
        lent = app.test_client().post("/models/lend", json={"loans": {"": {}}}, headers=TOKEN).get_json()["loans"]
        told: str | None = lent[""]["classifiers"]
        return told

    assert known() is None
    keep(app, digest="of all that")
    assert known() == "of all that"


def test_each_answers_at_its_own_path_and_by_its_own_name(app: Flask) -> None:
    keep(app)
    switch(app, "spam", 3, 1)
    client = app.test_client()
    assert asked(client, "/classifiers/spam/predict") == {
        "label": "spam",
        "name": "spam",
        "version": "3",
        "run_id": "run3",
    }
    assert asked(client, "/predict")["name"] == "text-classifier"
    ready = client.get("/classifiers/spam/ready")
    assert ready.status_code == 200 and ready.headers["X-Model-Version"] == "3"
    assert client.get("/classifiers/films/ready").status_code == 503
    assert client.get("/classifiers/spam/").mimetype == "text/html"
    assert client.get("/classifiers/spam").headers["Location"] == "spam/"
    assert (
        client.post("/classifiers/spam/invocations", json={"inputs": ["good"]}).get_json()["predictions"][0]["label"]
        == "spam"
    )
    told = client.get("/classifiers").get_json()["classifiers"]
    assert [(one["name"], one["default"], bool(one["model"])) for one in told] == [
        ("films", True, False),
        ("spam", False, True),
    ]
    unknown = client.post("/classifiers/nobody/predict", json={"input": "good"})
    assert unknown.status_code == 404 and unknown.get_json()["error"]["code"] == "unknown_model"


def test_the_open_inference_protocol_knows_them_by_name(app: Flask) -> None:
    keep(app)
    switch(app, "spam", 3, 1)
    client = app.test_client()
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}
    told = client.post("/v2/models/spam/infer", json={"inputs": [tensor]}).get_json()
    assert (told["model_name"], told["model_version"], told["outputs"][0]["data"]) == ("spam", "3", ["spam"])
    assert client.get("/v2/models/text-classifier/ready").status_code == 200
    assert client.get("/v2/models/nobody").status_code == 404
    index = client.post("/v2/repository/index", json={}).get_json()
    assert index == [{"name": "spam", "version": "3", "state": "READY", "reason": ""}]


def test_what_a_switch_leaves_to_write_is_written_before_the_folder_goes(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Memory.write

    def slowly(self: Memory, *given: Any) -> None:
        time.sleep(0.3)
        write(self, *given)

    keep(app)
    monkeypatch.setattr(Memory, "write", slowly)
    switch(app, "films", 1, 1)
    keep(app, names=["spam"], default="spam")
    time.sleep(0.5)
    assert not (tmp_path / "classifiers/films").exists(), "a restart would serve it again"


def test_one_without_a_model_is_not_ready_and_no_other_is_named(app: Flask) -> None:
    keep(app, names=["new"], default="")
    client = app.test_client()
    for answer in (client.get("/v2/models/new/ready"), client.post("/v2/models/new/infer", json={"inputs": []})):
        assert answer.status_code == 503 and "No model yet" in answer.get_json()["error"]
    assert client.get("/v2/models/nobody/ready").status_code == 404


def test_a_switch_of_one_stops_no_request_of_another(app: Flask) -> None:
    keep(app)
    for name in NAMES["names"]:
        switch(app, name, 1, 1)
    client = app.test_client()
    place, voucher = "/classifiers/spam/models", Voucher("spam", 2, "run2", "p", {"serving/manifest.json": f"{2:064x}"})
    client.post(f"{place}/prepare", json={"voucher": voucher.as_dict()}, headers=TOKEN)
    client.post(f"{place}/hold", json={"version": 2, "epoch": 2, "leader": "me"}, headers=TOKEN)
    waiting: list[str] = []
    thread = threading.Thread(
        target=lambda: waiting.append(asked(app.test_client(), "/classifiers/spam/predict")["version"])
    )
    thread.start()
    start = time.monotonic()
    for path in ("/predict", "/classifiers/films/predict"):
        assert asked(client, path)["label"] in ("films", "positive")
    assert time.monotonic() - start < 1.5 and not waiting
    client.post(f"{place}/commit", json={"version": 2, "epoch": 2, "leader": "me"}, headers=TOKEN)
    thread.join(10)
    assert waiting == ["2"]


def test_one_that_was_retired_answers_no_more_and_the_others_do_after_a_restart(app: Flask, tmp_path: Path) -> None:
    keep(app)
    for name in NAMES["names"]:
        switch(app, name, 1, 1)
    keep(app, names=["spam"], default="spam")
    assert app.test_client().get("/classifiers/films/ready").status_code == 404
    assert not (tmp_path / "classifiers/films").exists()
    deadline = time.monotonic() + 10
    while not list((tmp_path / "classifiers/spam").glob("state/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)  # it remembers in a thread of its own
    server = stub.server(tmp_path, MODEL_ENDPOINTS="127.0.0.1:9")
    again = create_app(server.settings, server)
    found = again.extensions["classifiers"]
    assert isinstance(found, Classifiers)
    found.start()
    deadline = time.monotonic() + 10
    while again.test_client().get("/classifiers/spam/ready").status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert asked(again.test_client(), "/classifiers/spam/predict")["version"] == "1"


@pytest.mark.parametrize("names", ["spam", ["../spam"], ["a/b"], [1], None])
def test_names_that_could_be_no_folder_are_refused(app: Flask, names: Any) -> None:
    client = app.test_client()
    assert client.post("/models/classifiers", json={"names": names}, headers=TOKEN).status_code == 400
    assert client.post("/models/classifiers", json=NAMES).status_code == 401


def test_the_others_are_told_of_all_models_at_once(app: Flask) -> None:
    keep(app)
    switch(app, "spam", 3, 1)
    client = app.test_client()
    assert client.get("/models/all").status_code == 401
    told = client.get("/models/all", headers=TOKEN).get_json()
    assert {path: one["version"] for path, one in told.items()} == {
        "": 7,
        "/classifiers/films": None,
        "/classifiers/spam": 3,
    }
    assert client.get("/classifiers/spam/models/all", headers=TOKEN).status_code == 404
