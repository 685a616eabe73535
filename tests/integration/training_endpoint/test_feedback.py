"""Feedback becomes rows of the classifier's table, each note once, at once or after a person's word."""

import threading
from pathlib import Path
from typing import Any

import pytest

from tests import training
from tests.database_roles import connected
from training_endpoint.monitor import feedback


def note(url: str, text: str | None, label: str, classifier: str = "films", state: str = "waiting") -> int:
    with connected(url, "postgres") as owner:
        row = owner.execute(
            "INSERT INTO prediction_log.feedback"
            " (request_id, place, answered_at, classifier, version, predicted, label, text, state)"
            " VALUES (gen_random_uuid()::text, 0, now(), %s, 1, 'bad', %s, %s, %s) RETURNING id",
            [classifier, label, text, state],
        ).fetchone()
    assert row
    return int(str(row[0]))


def owner_url(url: str) -> str:
    return url.replace("//platform:@", "//postgres:@")


def rows(url: str, table: str = "film_train") -> list[Any]:
    with connected(url, "postgres") as owner:
        return owner.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


def states(url: str) -> list[tuple[object, ...]]:
    with connected(url, "postgres") as owner:
        return owner.execute("SELECT state, because, text FROM prediction_log.feedback ORDER BY id").fetchall()


@pytest.fixture
def noted(films: str) -> Any:
    return lambda *arguments, **named: note(owner_url(films), *arguments, **named)


def test_at_once_each_note_is_one_row_and_one_event_for_all(films: str, noted: Any, tmp_path: Path) -> None:
    for n in range(5):
        noted(f"film {n}; DROP TABLE film_train --", "good")
    settings = training.settings(films, tmp_path)
    threads = [threading.Thread(target=feedback.apply, args=(settings,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    feedback.apply(settings)
    assert rows(owner_url(films)) == [(f"film {n}; DROP TABLE film_train --", "good") for n in range(5)]
    assert states(owner_url(films)) == [("row", None, None)] * 5, "the text is in one place"
    with connected(owner_url(films)) as owner:
        events = owner.execute("SELECT classifier, sum(rows) FROM training_events GROUP BY 1").fetchall()
    assert events == [("films", 5)], "they start a run as any new row does"


def test_review_waits_for_a_person(films: str, noted: Any, tmp_path: Path) -> None:
    ids = [noted(f"film {n}", "good") for n in range(3)]
    noted(None, "good", state="no_text")
    settings = training.settings(films, tmp_path, FEEDBACK="review")
    assert feedback.apply(settings) == 0 and rows(owner_url(films)) == []
    client = training.client(settings)
    listed = client.get("/feedback?state=waiting&classifier=films&limit=2").get_json()["feedback"]
    assert [one["id"] for one in listed] == ids[:0:-1]
    assert (listed[0]["text"], listed[0]["label"], listed[0]["predicted"]) == ("film 2", "good", "bad")
    told = client.post("/feedback", json={"accept": ids[:2], "refuse": [float(ids[2]), 999]}).get_json()
    assert told == {"accepted": ids[:2], "refused": [ids[2]]}
    assert feedback.apply(settings) == 2
    assert [row[0] for row in rows(owner_url(films))] == ["film 0", "film 1"]
    assert client.post("/feedback", json={"refuse": ids[:2]}).get_json()["refused"] == [], "they are rows"
    assert client.post("/feedback", json={"accept": [ids[2]]}).get_json()["accepted"] == [ids[2]]
    assert feedback.apply(settings) == 1


@pytest.mark.parametrize("body", [{"accept": 1}, {"accept": ["1"]}, {"accept": [True]}, {"accept": [1.5]}, {"x": 1}])
def test_a_wrong_decision_is_refused(films: str, tmp_path: Path, body: dict[str, Any]) -> None:
    client = training.client(training.settings(films, tmp_path))
    assert client.post("/feedback", json=body).status_code == 422
    assert client.post("/feedback", json={"accept": [1], "refuse": [1.0]}).status_code == 409


def test_strangers_read_no_texts(films: str, tmp_path: Path) -> None:
    client = training.client(training.settings(films, tmp_path))
    assert client.get("/feedback?state=no").status_code == 422
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer wrong"
    assert client.get("/feedback").status_code == client.post("/feedback", json={}).status_code == 401


def test_one_row_that_the_table_refuses_stops_no_other(films: str, noted: Any, tmp_path: Path) -> None:
    with connected(owner_url(films)) as owner:
        owner.execute("ALTER TABLE film_train ADD CHECK (length(text) < 10)")
    for text in ("short", "much too long for it", "brief"):
        noted(text, "good")
    assert feedback.apply(training.settings(films, tmp_path)) == 2
    assert [row[0] for row in rows(owner_url(films))] == ["brief", "short"]
    state, because, kept = states(owner_url(films))[1]
    assert (state, kept) == ("refused", "much too long for it") and "violates check constraint" in str(because)


def test_another_owners_table_waits_for_the_right_to_write_it(films: str, noted: Any, tmp_path: Path) -> None:
    settings = training.settings(films, tmp_path)
    with connected(owner_url(films)) as owner:
        owner.execute('CREATE TABLE public."Mails" (id int GENERATED ALWAYS AS IDENTITY, "the body" text, spam int)')
        owner.execute(
            "SELECT create_classifier('spam', 'public.\"Mails\"', text_column => 'the body', label_column => 'spam')"
        )
        noted("buy now", "1", classifier="spam")
        noted("a film", "good")
        assert feedback.apply(settings) == 1, "the others do not wait for it"
        state, because, _ = states(owner_url(films))[0]
        denied = "training may not write (permission denied for table Mails)"
        grant = 'GRANT INSERT ("the body", "spam") ON "Mails" TO platform'
        assert state == "waiting" and because == f"{denied}: {grant}"
        owner.execute(str(because).partition(": ")[2])
        assert feedback.apply(settings) == 1
        assert owner.execute('SELECT "the body", spam FROM "Mails"').fetchall() == [("buy now", 1)]


def test_an_older_models_name_finds_its_classifier_and_an_unknown_one_none(
    films: str, noted: Any, tmp_path: Path
) -> None:
    noted("by its model", "good", classifier="text-classifier")
    noted("nobody's", "good", classifier="gone")
    assert feedback.apply(training.settings(films, tmp_path)) == 1
    assert rows(owner_url(films)) == [("by its model", "good")]
    assert states(owner_url(films))[1][:2] == ("refused", "there is no classifier gone, or it was retired")
