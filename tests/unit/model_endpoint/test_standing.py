"""A replica that was stopped or cut off answers nobody before it has heard what is served."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from model_endpoint.api import create_app
from model_endpoint.errors import Rejoining, Stopped
from model_endpoint.server import Server
from model_endpoint.standing import BEAT_SECONDS
from tests.unit.model_endpoint import stub

HEADERS = {"Authorization": f"Bearer {stub.TOKEN}"}


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = stub.server(tmp_path, MODEL_REPLICA_NAME="here")
    made.replica.slot.standing.watched()
    return made


def lend(server: Server, **body: Any) -> Any:
    client = create_app(server.settings, server).test_client()
    return client.post("/models/lend", json={"loans": {"": body}}, headers=HEADERS).get_json()["loans"][""]


def test_the_desk_lends_from_the_moment_of_the_answer_before(server: Server) -> None:
    standing = server.replica.slot.standing
    told = lend(server)
    assert not standing.good and told["standing"] is False
    lend(server, key=told["key"], replica="here", clock=told["clock"])
    assert standing.good and standing.left < 6


@pytest.mark.parametrize(
    "altered", [{"key": "another"}, {"replica": "who had this address before"}, {"clock": 1.0}, {"clock": None}]
)
def test_nothing_is_lent_for_another_version_or_replica_or_by_a_word_that_is_old(
    server: Server, altered: dict[str, Any]
) -> None:
    told = lend(server)
    lend(server, **{"key": told["key"], "replica": "here", "clock": told["clock"], **altered})
    assert not server.replica.slot.standing.good


def test_one_that_was_stopped_sends_requests_on_and_is_not_ready(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_endpoint.slot.REJOIN_SECONDS", 0.05)
    client = create_app(server.settings, server).test_client()
    answer = client.post("/predict", json={"input": "good"})
    assert answer.status_code == 503 and answer.headers["X-Accel-Redirect"] == "@another"
    assert answer.get_json()["error"]["code"] == Rejoining.code
    for path in ("/ready", "/health", "/v2/health/ready"):
        assert client.get(path).status_code == 503
    server.replica.slot.standing.lend(time.monotonic() + 5)
    assert client.post("/predict", json={"input": "good"}).status_code == 200
    assert client.get("/ready").status_code == 200


def test_what_was_computed_before_the_stop_is_not_given_out_and_not_sent_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_endpoint.slot.REJOIN_SECONDS", 0.05)
    standing = server.replica.slot.standing
    standing.lend(time.monotonic() + 5)
    loaded = server.replica.slot.current
    assert loaded is not None
    model = loaded.model

    def stopped(batch: Any) -> Any:
        standing.cut(0.0)
        return type(model).logits(model, batch)

    monkeypatch.setattr(model, "logits", stopped)
    answer = create_app(server.settings, server).test_client().post("/predict", json={"input": "good"})
    assert answer.status_code == 503 and answer.get_json()["error"]["code"] == Stopped.code
    assert "X-Accel-Redirect" not in answer.headers


def test_a_hold_whose_leader_says_no_more_ends_with_a_question(server: Server) -> None:
    slot = server.replica.slot
    slot.hold_seconds = 0.1
    slot.standing.lend(time.monotonic() + 60)
    slot.offer(stub.loaded(8))
    slot.hold(8, 2, "leader")
    time.sleep(0.15)
    assert not slot.held and not slot.standing.good
    slot.release("leader")
    assert slot.standing.good, "the leader gave the hold up: nothing has changed"


def others_say(server: Server, monkeypatch: pytest.MonkeyPatch, *told: dict[str, Any]) -> None:
    monkeypatch.setattr(server.joiner, "_others", lambda: list(told))
    monkeypatch.setattr(server.joiner, "_told", lambda: (time.monotonic(), list(told)))


def test_while_the_desk_is_silent_the_others_lend_unless_they_serve_something_newer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = server.replica.slot
    other: dict[str, Any] = {"voucher": stub.voucher(7).as_dict(), "key": stub.voucher(7).key, "epoch": 1}
    others_say(server, monkeypatch, {**other, "held": True})
    server.joiner.beat()
    assert not slot.standing.good, "in the middle of a switch nobody knows"
    others_say(server, monkeypatch, {**other, "held": False})
    server.joiner.beat()
    assert slot.standing.good
    slot.standing.cut(0.0)
    newer = {"voucher": stub.voucher(8).as_dict(), "key": stub.voucher(8).key, "epoch": 2, "held": False}
    others_say(server, monkeypatch, newer)
    server.replica._load = lambda voucher: stub.loaded(voucher.version)
    server.joiner.beat()
    assert server.replica.version == 8 and not slot.standing.good
    server.joiner.beat()
    assert slot.standing.good


def test_alone_it_serves_on_after_the_desk_has_been_silent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    standing = server.replica.slot.standing
    others_say(server, monkeypatch)
    monkeypatch.setattr(server.replica, "peers", lambda: ["192.0.2.1:1"])
    standing.beat(3600)  # it was stopped for an hour, which says nothing about the desk
    server.joiner.beat()
    assert not standing.good
    for _ in range(6):
        standing.beat(BEAT_SECONDS)
    server.joiner.beat()
    assert standing.good
    standing.cut(0.0)
    monkeypatch.setattr(server.replica, "peers", lambda: [])
    server.joiner.beat()
    assert not standing.good, "it is cut off: even its own name has no address"
    standing.heard()
    assert not standing.alone


def test_requests_wait_for_a_moment(server: Server) -> None:
    client = create_app(server.settings, server).test_client()
    standing = server.replica.slot.standing
    timer = threading.Timer(0.2, lambda: standing.lend(time.monotonic() + 5))
    timer.start()
    assert client.post("/predict", json={"input": "good"}).status_code == 200
    timer.join()
