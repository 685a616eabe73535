"""What a replica was asked and answered stands in the training database, and no answer waits for that."""

import gc
import json
import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import requests
from flask.testing import FlaskClient

from model_endpoint import prediction_log
from model_endpoint.api import create_app
from model_endpoint.predict import Answer
from model_endpoint.server import Server
from model_endpoint.slot import Loaded
from model_endpoint.standing import Standing
from tests import services
from tests.database_roles import connected, url_of
from tests.integration.model_endpoint.stack import Serving
from tests.unit.model_endpoint import stub

WORDS = "request_id, place, classifier, version, replica, text, text_hash, label, scores, truncated"
Opened = Callable[..., tuple[FlaskClient, Server]]


@pytest.fixture
def opened(tmp_path: Path, database: str) -> Iterator[Opened]:
    """Makes a replica of version 7 that logs to `database`; its client."""
    with ExitStack() as stack:

        def make(**variables: str) -> tuple[FlaskClient, Server]:
            settings = {"DATABASE_URL": url_of(database, "serving"), "MODEL_REPLICA_NAME": "one", **variables}
            server = stub.server(tmp_path, None, **settings)
            app = create_app(server.settings, server)
            server.log.start()
            stack.callback(server.log.stop)
            return app.test_client(), server

        yield make


def logged(database: str, words: str = WORDS) -> list[tuple[Any, ...]]:
    with connected(database, "platform") as platform:
        return platform.execute(f"SELECT {words} FROM prediction_log.answers ORDER BY at, request_id, place").fetchall()


def wait_for(database: str, rows: int) -> list[tuple[Any, ...]]:
    services.wait_until(f"{rows} rows in the log", lambda: len(logged(database)) >= rows, 20)
    return logged(database)


def counted(server: Server, name: str, **labels: str) -> float:
    return server.metrics.registry.get_sample_value(name, labels) or 0


def post(client: FlaskClient, path: str, body: object, request_id: str, **headers: str) -> Any:
    headers = {"X-Request-Id": request_id, "Content-Type": "application/json", **headers}
    return client.post(path, data=json.dumps(body), headers=headers, buffered=True)


def test_every_route_that_answers_is_logged_once(opened: Opened, database: str) -> None:
    client, server = opened()
    asked = {
        "a-plain": ("/predict", {"input": "good"}),
        "b-batch": ("/predict", {"input": ["bad", "good " * 60, "bäd 𝄞 \\N \t\n"]}),
        "c-flask": ("/predict?", {"input": "good", "top_k": 1}),
        "d-mlflow": ("/invocations", {"dataframe_split": {"columns": ["text"], "data": [["good"]]}}),
        "e-open": (
            "/v2/models/text-classifier/infer",
            {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}]},
        ),
        "f-hugging": ("/", {"inputs": "good"}),
    }
    before = time.time()
    for request_id, (path, body) in asked.items():
        assert post(client, path, body, request_id).status_code == 200, path
    for path, body in (("/predict", {"input": ""}), ("/predict", {"input": "a", "top_k": 0}), ("/invocations", {})):
        assert post(client, path, body, "refused").status_code == 400
    rows = wait_for(database, 8)
    good = {"positive": 0.731059, "negative": 0.268941}
    assert [row[:2] for row in rows] == [
        ("a-plain", 0),
        ("b-batch", 0),
        ("b-batch", 1),
        ("b-batch", 2),
        ("c-flask", 0),
        ("d-mlflow", 0),
        ("e-open", 0),
        ("f-hugging", 0),
    ]
    assert rows[0][2:] == ("text-classifier", 7, "one", "good", None, "positive", good, False)
    assert [(row[5], row[7], row[9]) for row in rows[1:4]] == [
        ("bad", "negative", False),
        ("good " * 60, "positive", True),
        ("bäd 𝄞 \\N \t\n", "negative", False),
    ]
    assert all(row[8] == good for row in rows[4:]), "all scores, whatever top_k was"
    assert [row[0] for row in logged(database, "pieces")[:4]] == [1, 1, 50, 3], "tokens that the model read"
    times = [row[0].timestamp() for row in logged(database, "at")]
    assert before - 0.01 <= times[0] and times[-1] <= time.time()
    assert counted(server, "model_log_rows_total") == 8


def test_a_classifier_is_logged_under_its_name_at_either_of_its_addresses(
    opened: Opened, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Standing, "watched", lambda self: None)  # no desk is here that lends it the right to answer
    client, _ = opened()
    classifiers = client.application.extensions["classifiers"]
    classifiers.keep(["reviews", "spam"], "reviews", {})
    try:
        for name, model in (("reviews", "text-classifier"), ("spam", "spam-model")):
            replica = classifiers._all[name].server.replica
            replica.slot.offer(Loaded(stub.voucher(7, model), stub.Stub()))
            replica.commit(7, 1, "stub")
        for request_id, path in (("a", "/predict"), ("b", "/classifiers/reviews/predict"), ("c", "/classifiers/spam/")):
            body = {"input": "good"} if path.endswith("predict") else {"inputs": "good"}
            assert post(client, path, body, request_id).status_code == 200
        infer = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}]}
        assert post(client, "/v2/models/spam-model/infer", infer, "d").status_code == 200
        rows = wait_for(database, 4)
    finally:
        classifiers.keep([], "", {})
    assert [(row[0], row[2]) for row in rows] == [("a", "reviews"), ("b", "reviews"), ("c", "spam"), ("d", "spam")]


def test_hashed_keeps_no_text_and_the_same_text_is_known_again(opened: Opened, database: str) -> None:
    client, _ = opened(PREDICTION_LOG="hashed")
    post(client, "/predict", {"input": ["a secret", "good", "a secret"]}, "x")
    rows = wait_for(database, 3)
    assert [row[5] for row in rows] == [None] * 3
    assert rows[0][6] == rows[2][6] != rows[1][6] and len(rows[0][6]) == 64
    assert "secret" not in str(rows)


@pytest.mark.parametrize("variables", [{"PREDICTION_LOG": "off"}, {"DATABASE_URL": ""}, {"PREDICTION_LOG_SHARE": "0"}])
def test_off_writes_nothing(opened: Opened, database: str, variables: dict[str, str]) -> None:
    client, server = opened(**variables)
    assert post(client, "/predict", {"input": "good"}, "x").status_code == 200
    server.log.stop()
    assert logged(database) == [] and counted(server, "model_log_dropped_rows_total", reason="full") == 0


def test_a_share_is_of_whole_requests(opened: Opened, database: str) -> None:
    client, server = opened(PREDICTION_LOG_SHARE="0.5")
    for number in range(200):
        post(client, "/predict", {"input": ["good", "bad"]}, f"{number}")
    server.log.stop()
    with connected(database) as owner:
        found = owner.execute("SELECT count(*) FROM prediction_log.answers GROUP BY request_id").fetchall()
    assert 50 < len(found) < 150 and {count for (count,) in found} == {2}


def test_what_waits_is_written_when_the_replica_ends(opened: Opened, database: str) -> None:
    client, server = opened()
    for number in range(50):
        post(client, "/predict", {"input": "good"}, f"{number}")
    server.log.stop()
    assert len(logged(database)) == 50


def test_what_cannot_be_written_when_a_replica_ends_is_said(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    client, server = opened(DATABASE_URL=f"postgresql://serving@127.0.0.1:{services.free_port()}/training")
    post(client, "/predict", {"input": ["good", "bad"]}, "x")
    server.log.stop()
    assert caplog.records[-1].message == "2 rows of the log of predictions end with this replica"


def test_a_replica_that_is_stopped_writes_what_waits(tmp_path: Path, database: str) -> None:
    variables = {"DATABASE_URL": url_of(database, "serving")}
    fleet = Serving(
        "http://127.0.0.1:9", "text-classifier", tmp_path, variables, "tests.integration.model_endpoint.stubbed"
    )
    fleet.add(1)
    with fleet.stack:
        fleet.start()
        (replica,) = fleet.replicas
        for _ in range(20):
            assert requests.post(f"{replica.url}/predict", json={"input": "good"}, timeout=5).ok
        replica.process.terminate()
        replica.process.wait(20)
    assert len(logged(database)) == 20


@contextmanager
def own_server(folder: Path) -> Iterator[str]:
    """A database with the schema on a server that this test may break."""
    with services.postgres(folder) as url:
        made = services.new_database(url, "training")
        services.apply_schema(made)
        yield made


def test_a_database_that_is_away_costs_rows_that_are_counted_and_no_answer(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_log, "MOST_ROWS", 30)
    folder = tmp_path / "postgres"
    folder.mkdir()
    with own_server(folder) as url:
        client, server = opened(DATABASE_URL=url_of(url, "serving"))
        post(client, "/predict", {"input": "good"}, "before")
        wait_for(url, 1)
        services.kill_postgres(folder)
        slowest = 0.0
        for number in range(50):
            start = time.perf_counter()
            assert post(client, "/predict", {"input": "good"}, f"away-{number:02}").status_code == 200
            slowest = max(slowest, time.perf_counter() - start)
        assert slowest < 1
        dropped = counted(server, "model_log_dropped_rows_total", reason="full")
        assert dropped == 20 and counted(server, "model_log_waiting_rows") == 30
        services.start_postgres(folder)
        rows = wait_for(url, 31)
        assert [row[0] for row in rows] == ["before", *(f"away-{number:02}" for number in range(30))]
        post(client, "/predict", {"input": "good"}, "z-after")
        assert wait_for(url, 32)[-1][0] == "z-after"
        assert counted(server, "model_log_rows_total") == 32 and counted(server, "model_log_waiting_rows") == 0


def test_what_waits_keeps_no_model_in_memory(opened: Opened) -> None:
    _, server = opened(DATABASE_URL=f"postgresql://serving@127.0.0.1:{services.free_port()}/training")
    model = stub.Stub()
    gone = weakref.ref(model)
    answer = Answer(Loaded(stub.voucher(6), model), np.array([[0.1, 0.9]]), [False], [1])
    server.log.add("x", "films", ["good"], answer)
    del model, answer
    gc.collect()
    assert gone() is None and server.log.describe()["waiting"] == 1


def test_many_labels_take_no_more_memory_than_few(opened: Opened) -> None:
    _, server = opened(DATABASE_URL=f"postgresql://serving@127.0.0.1:{services.free_port()}/training")
    answer = Answer(Loaded(stub.voucher(6), stub.Stub()), np.full((1, 10_000), 0.0001), [False], [1])
    for _ in range(200):
        server.log.add("x", "films", ["good"], answer)
    assert server.log.describe() == {"waiting": 99, "dropped": 101, "trouble": server.log.describe()["trouble"]}


def test_a_database_that_hangs_holds_nobody_up(opened: Opened, database: str) -> None:
    client, server = opened()
    with psycopg.connect(database) as blocker:
        blocker.execute("LOCK TABLE prediction_log.answers IN ACCESS EXCLUSIVE MODE")
        for number in range(20):
            assert post(client, "/predict", {"input": "good"}, f"{number:02}").status_code == 200
        time.sleep(2 * prediction_log.FLUSH_SECONDS)
        assert counted(server, "model_log_waiting_rows") == 20
    assert len(wait_for(database, 20)) == 20


def test_rows_of_a_day_that_the_log_has_not_are_dropped_and_counted(
    opened: Opened, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = opened()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 90 * 86_400)
    post(client, "/predict", {"input": ["good", "bad"]}, "wrong clock")
    services.wait_until(
        "they are dropped", lambda: counted(server, "model_log_dropped_rows_total", reason="refused") == 2
    )
    monkeypatch.undo()
    post(client, "/predict", {"input": "good"}, "right")
    assert [row[0] for row in wait_for(database, 1)] == ["right"]


def test_what_is_refused_takes_nothing_else_with_it(opened: Opened, database: str) -> None:
    _, server = opened(DATABASE_URL=f"postgresql://serving@127.0.0.1:{services.free_port()}/training")
    loaded = Loaded(stub.voucher(6), stub.Stub())
    for number in range(40):
        score = float("nan") if number in (3, 38) else 0.9
        answer = Answer(loaded, np.array([[1 - score, score]]), [False], [1])
        server.log.add(f"{number:02}", "films", ["good"], answer)
    server.log._settings = replace(server.settings, database_url=url_of(database, "serving"))
    rows = wait_for(database, 38)
    assert [row[0] for row in rows] == [f"{number:02}" for number in range(40) if number not in (3, 38)]
    services.wait_until(
        "two are dropped", lambda: counted(server, "model_log_dropped_rows_total", reason="refused") == 2
    )
    assert counted(server, "model_log_waiting_rows") == 0


def test_labels_are_logged_as_they_are(opened: Opened, database: str) -> None:
    _, server = opened()
    model = stub.Stub()
    model.labels = ['100 %s "sure"', "tab\tand \\N"]
    answer = Answer(Loaded(stub.voucher(6), model), np.array([[0.1, 0.9]]), [False], [1])
    server.log.add("x", "films", ["good"], answer)
    (row,) = wait_for(database, 1)
    assert row[7] == model.labels[1] and row[8] == dict(zip(model.labels, [0.1, 0.9], strict=True))


def test_a_database_of_before_the_log_is_waited_for(tmp_path: Path, opened: Opened, postgres_server: str) -> None:
    url = services.new_database(postgres_server, f"upgrade_{os.getpid()}_{services.free_port()}")
    client, _ = opened(DATABASE_URL=url_of(url, "serving"))
    post(client, "/predict", {"input": "good"}, "early")
    time.sleep(1.2)
    services.apply_schema(url)
    assert [row[0] for row in wait_for(url, 1)] == ["early"]
