"""What an application says was right: noted once, by whoever has the token, of answers that were given."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from model_endpoint import feedback
from model_endpoint.api import create_app
from tests import services
from tests.database_roles import connected, url_of
from tests.unit.model_endpoint import stub

TOKEN = {"Authorization": "Bearer a-secret-of-theirs"}


@pytest.fixture
def client(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    monkeypatch.setattr(feedback, "PATIENCE_SECONDS", 1.5)
    variables = {"DATABASE_URL": url_of(database, "serving"), "FEEDBACK_TOKEN": "a-secret-of-theirs"}
    server = stub.server(tmp_path, None, **variables)
    server.log.start()
    yield create_app(server.settings, server).test_client()
    server.log.stop()


def predict(client: FlaskClient, request_id: str, *texts: str) -> None:
    asked = {"input": list(texts) or "good"}
    assert client.post("/predict", json=asked, headers={"X-Request-Id": request_id}, buffered=True).status_code == 200


def say(client: FlaskClient, **body: object) -> Any:
    return client.post("/feedback", json=body, headers=TOKEN, buffered=True)


def notes(database: str) -> list[tuple[object, ...]]:
    with connected(database) as owner:
        return owner.execute(
            "SELECT request_id, place, classifier, version, predicted, label, text, state"
            " FROM prediction_log.feedback ORDER BY id"
        ).fetchall()


def test_it_is_noted_at_once_and_once(client: FlaskClient, database: str) -> None:
    predict(client, "one")
    for known in (False, True, True):
        answer = say(client, request_id="one", label="negative")
        assert (answer.status_code, answer.json) == (202, {"request_id": "one", "label": "negative", "known": known})
    assert notes(database) == [("one", 0, "text-classifier", 7, "positive", "negative", "good", "waiting")]
    assert say(client, request_id="one", label=" positive ").status_code == 202, "who errs may say so"
    assert [note[5] for note in notes(database)] == ["positive"]


def test_of_a_batch_it_says_which(client: FlaskClient, database: str) -> None:
    predict(client, "batch", "good", "bad", "worse")
    answer = say(client, request_id="batch", label="positive")
    assert answer.status_code == 400 and "had 3 texts" in answer.json["error"]["message"]
    answer = say(client, request_id="batch", label="positive", index=3)
    assert answer.status_code == 400 and "no index 3" in answer.json["error"]["message"]
    assert say(client, request_id="batch", label="positive", index=1).status_code == 202
    assert say(client, request_id="batch", label="negative", index=2.0).status_code == 202
    assert [note[1:2] + note[5:7] for note in notes(database)] == [(1, "positive", "bad"), (2, "negative", "worse")]


def test_an_id_of_the_same_request_sent_twice_means_the_newest_answer(client: FlaskClient, database: str) -> None:
    predict(client, "twice", "good", "bad")
    services.wait_until(
        "the log has it", lambda: say(client, request_id="twice", label="negative", index=0).status_code == 202
    )
    predict(client, "twice", "good", "bad")
    services.wait_until("the log has it", lambda: _logged(database) == 4)
    assert say(client, request_id="twice", label="positive", index=0).status_code == 202
    assert [note[5:7] for note in notes(database)] == [("negative", "good"), ("positive", "good")]


def test_an_id_under_which_two_classifiers_answered_is_said_of_one_of_them(client: FlaskClient, database: str) -> None:
    """A trace has one id, and may ask several of one text."""
    predict(client, "trace")
    services.wait_until("the log has it", lambda: _logged(database) == 1)
    with connected(database) as owner:
        owner.execute(
            "INSERT INTO prediction_log.answers (at, request_id, place, classifier, version, replica, text, label,"
            " scores, truncated) SELECT at + interval '1 ms', request_id, place, 'mood', 2, replica, text, label,"
            " scores, truncated FROM prediction_log.answers"
        )
    answer = say(client, request_id="trace", label="negative")
    assert answer.status_code == 409 and "(mood, text-classifier)" in answer.json["error"]["message"]
    assert notes(database) == []
    outcome = "SELECT (prediction_log.take_feedback('trace', NULL, 'negative', %s)).outcome"
    with connected(database, "serving") as serving:
        assert serving.execute(outcome, ["text-classifier"]).fetchone() == ("taken",)
    assert [note[2] for note in notes(database)] == ["text-classifier"]


def test_a_stranger_who_guesses_an_id_does_not_have_his_text_labelled(client: FlaskClient, database: str) -> None:
    predict(client, "order-7", "good")
    predict(client, "order-7", "a bad thing to learn")
    services.wait_until("the log has it", lambda: _logged(database) == 2)
    answer = say(client, request_id="order-7", label="positive")
    assert answer.status_code == 409 and answer.json["error"]["code"] == "several_answers"
    assert notes(database) == []


def test_what_is_decided_is_not_changed(client: FlaskClient, database: str) -> None:
    predict(client, "one")
    say(client, request_id="one", label="negative")
    with connected(database, "platform") as platform:
        platform.execute("UPDATE prediction_log.feedback SET state = 'row', text = NULL")
    assert say(client, request_id="one", label="negative").json["known"] is True
    answer = say(client, request_id="one", label="positive")
    assert answer.status_code == 409 and answer.json["error"]["code"] == "already_decided"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"request_id": "never", "label": "positive"}, 404, "unknown_request"),
        ({"request_id": "one", "label": "postive"}, 400, "unknown_label"),
        ({"request_id": "one"}, 400, "invalid_input"),
        ({"label": "positive"}, 400, "invalid_input"),
        ({"request_id": "a b", "label": "positive"}, 400, "invalid_input"),
        ({"request_id": 1, "label": "positive"}, 400, "invalid_input"),
        ({"request_id": "one", "label": 1}, 400, "invalid_input"),
        ({"request_id": "one", "label": " "}, 400, "invalid_input"),
        ({"request_id": "one", "label": "a\0"}, 400, "invalid_input"),
        ({"request_id": "one", "label": "\ud800"}, 400, "invalid_input"),
        ({"request_id": "one", "label": "x" * 1001}, 400, "invalid_input"),
        ({"request_id": "one", "label": "positive", "index": -1}, 400, "invalid_input"),
        ({"request_id": "one", "label": "positive", "index": True}, 400, "invalid_input"),
        ({"request_id": "one", "label": "positive", "index": 1 << 31}, 400, "invalid_input"),
        ({"request_id": "one", "label": "positive", "index": "0"}, 400, "invalid_input"),
        ({"request_id": "one", "label": "positive", "text": "x"}, 400, "invalid_input"),
        ([], 400, "invalid_input"),
    ],
)
def test_what_is_wrong_is_said(client: FlaskClient, database: str, body: object, status: int, code: str) -> None:
    predict(client, "one")
    services.wait_until("the log has it", lambda: _logged(database) == 1)
    headers = {**TOKEN, "Content-Type": "application/json"}
    answer = client.post("/feedback", data=json.dumps(body), headers=headers, buffered=True)
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (status, code)
    if code == "unknown_label":
        assert answer.json and "negative, positive" in answer.json["error"]["message"]
    assert notes(database) == []


def _logged(database: str) -> int:
    with connected(database) as owner:
        row = owner.execute("SELECT count(*)::int FROM prediction_log.answers").fetchone()
    assert row
    return int(str(row[0]))


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {stub.TOKEN}"}])
def test_strangers_and_the_platforms_own_token_are_turned_away(
    client: FlaskClient, database: str, header: dict[str, str]
) -> None:
    predict(client, "one")
    body = {"request_id": "one", "label": "positive"}
    answer = client.post("/feedback", json=body, headers=header, buffered=True)
    assert answer.status_code == 401 and answer.json and "FEEDBACK_TOKEN" in answer.json["error"]["message"]
    assert notes(database) == []


def test_without_a_log_or_a_database_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"postgresql://serving@127.0.0.1:{services.free_port()}/training"
    for variables, status in (
        ({"PREDICTION_LOG": "off", "DATABASE_URL": nowhere}, 404),
        ({"DATABASE_URL": nowhere}, 503),
    ):
        server = stub.server(tmp_path, None, FEEDBACK_TOKEN="a-secret-of-theirs", **variables)
        answer = say(create_app(server.settings, server).test_client(), request_id="x", label="positive")
        assert answer.status_code == status
        assert answer.json["error"]["passes"] is (status == 503)


def test_a_log_without_texts_takes_it_for_the_accuracy_alone(client: FlaskClient, database: str) -> None:
    with connected(database) as owner:
        owner.execute(
            "INSERT INTO prediction_log.answers VALUES (now(), 'h', 0, 'text-classifier', 7, 'one', NULL, 'x',"
            " 'positive', '{\"positive\": 1, \"negative\": 0}', false)"
        )
    assert say(client, request_id="h", label="negative").status_code == 202
    assert notes(database)[0][6:] == (None, "no_text")


def test_a_label_that_was_learned_since_is_known(client: FlaskClient, database: str) -> None:
    with connected(database) as owner:
        owner.execute(
            "INSERT INTO classifiers (name, train_table, text_column, label_column, labels)"
            " VALUES ('text-classifier', 't', 'text', 'label', '[\"neutral\"]')"
        )
    predict(client, "one")
    assert say(client, request_id="one", label="neutral").status_code == 202
