"""From rows of the log to what is told of a classifier: by hour and day, with alarms that are heard."""

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from model_runner import CannotServe
from model_runner.artifact import WEIGHTS, Manifest
from tests import training
from tests.database_roles import connected, url_of
from training_endpoint import database as training_database
from training_endpoint.data import classifiers
from training_endpoint.monitor import hours, reference
from training_endpoint.monitor.estimate import Numbers
from training_endpoint.monitor.watch import Watch
from training_endpoint.release import ledger

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def probabilities(rng: np.random.Generator, rows: int, skill: float = 4) -> Numbers:
    good = 1 / (1 + np.exp(-rng.normal(0, skill, rows)))
    return np.stack([1 - good, good], axis=1).round(6)


def labels_of(rng: np.random.Generator, answers: Numbers) -> list[int]:
    return [int(chance < good) for chance, good in zip(rng.random(len(answers)), answers[:, 1], strict=True)]


def answered(
    database: str, moment: datetime, answers: Numbers, version: int = 3, classifier: str = "films", of: str = "r"
) -> None:
    """Rows of the log; those that have no day get one."""
    with connected(database) as owner:
        owner.execute(
            "CREATE TABLE IF NOT EXISTS prediction_log.answers_other PARTITION OF prediction_log.answers DEFAULT"
        )
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        columns = "at, request_id, place, classifier, version, replica, text, label, scores, truncated, pieces"
        with cursor.copy(f"COPY prediction_log.answers ({columns}) FROM STDIN") as copy:
            for number, (bad, good) in enumerate(answers.tolist()):
                scores = json.dumps({"bad": bad, "good": good})
                label = "good" if good > bad else "bad"
                at = moment + timedelta(seconds=number % 3600)
                copy.write_row((at, f"{of}{number}", 0, classifier, version, "one", "x" * 50, label, scores, False, 4))


def champion(url: str, version: int) -> None:
    """A person has it served."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO training_versions (model_name, version, run_id, root, files, metrics, tags)"
            " VALUES ('text-classifier', %s, 'run', 'root', '{}', '{}', '{}') ON CONFLICT DO NOTHING",
            [version],
        )
    ledger.decide_by_hand(url, "text-classifier", "ada", "override", "so", to_version=version, pinned=False)


@pytest.fixture
def films(database: str, tmp_path: Path) -> str:
    """The services' address of a database with the classifier films, whose version 3 is known by its test rows."""
    training.dataset(database)
    rng = np.random.default_rng(0)
    answers = probabilities(rng, 1000)
    labels = np.array(labels_of(rng, answers))
    url = url_of(database, "platform")
    tokenizer = tmp_path / "serving"
    tokenizer.mkdir()
    made = Tokenizer(WordLevel({"[UNK]": 0}, "[UNK]"))
    made.save(str(tokenizer / "tokenizer.json"))
    Manifest(["bad", "good"], 256, 0, [WEIGHTS]).write(tokenizer)
    for _ in range(2):
        reference.keep(url, "text-classifier", 3, answers, labels, ["bad", "good"], ["x" * 50] * 1000, tokenizer)
    champion(url, 3)
    return url


def test_windows_are_told_by_hour_and_day(database: str, films: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    settings = training.settings(films, tmp_path)
    answered(database, NOW - timedelta(hours=2), probabilities(rng, 300))
    answered(database, NOW - timedelta(hours=1), probabilities(rng, 200), classifier="text-classifier", of="s")
    answered(database, NOW - timedelta(hours=1), probabilities(rng, 50), version=9, of="t")
    with connected(database) as owner:
        owner.execute(
            "INSERT INTO prediction_log.feedback "
            " (request_id, place, answered_at, classifier, version, predicted, label)"
            " SELECT request_id, 0, at, classifier, version, label,"
            " CASE WHEN request_id < 'r15' THEN 'x' ELSE label END"
            " FROM prediction_log.answers WHERE request_id LIKE 'r1_'"
        )
    watch = Watch(settings)
    watch.look()
    watch.look()
    told = training.client(settings).get("/monitor?by=hour&days=1").get_json()
    assert told["classifier"] == "films" and told["alarms"] == []
    first, second = told["windows"]
    assert (first["rows"], first["version"], second["rows"]) == (300, 3, 200), "its older name is the same one's"
    estimated = first["estimated"]["mean"]
    assert 0.7 < estimated["low"] < estimated["accuracy"] < estimated["high"] <= 1
    assert set(first["drift"]) == {"scores", "classes", "lengths", "pieces"}
    assert first["drift"]["pieces"]["distance"] == 1, "four tokens a word, and one on the test rows"
    assert first["true"]["labels"] == 10 and first["true"]["accuracy"] == 0.5 and second["true"] is None
    days = training.client(settings).get("/monitor?classifier=films").get_json()["windows"]
    assert sum(window["rows"] for window in days) == 500
    metrics = training.client(settings).get("/metrics").text
    assert 'monitor_alarm{classifier="films",kind="accuracy"} 0.0' in metrics


def test_rows_that_nobody_can_read_hide_no_others(database: str, films: str, tmp_path: Path) -> None:
    moment = NOW - timedelta(hours=1)
    answered(database, moment, probabilities(np.random.default_rng(1), 300))
    strange = ["{}", "[0.5]", "null", '{"good": "high"}', '{"good": null}', '{"good": -1}', '{"good": 1e999}', "[]"]
    with connected(database) as owner:
        for scores in strange:
            row = "%s, 'x', 0, 'films', 3, 'one', '', null, '', %s, false, -7"
            owner.execute(f"INSERT INTO prediction_log.answers VALUES ({row})", [moment, scores])
    settings = training.settings(films, tmp_path)
    Watch(settings).look()
    (window,) = training.client(settings).get("/monitor?by=hour&days=1").get_json()["windows"]
    assert window["rows"] == 308 and window["classes"].keys() == {"good", "bad"}
    assert window["estimated"]["mean"]["accuracy"] > 0.5


def test_a_client_that_sends_one_id_with_all_requests_hides_no_hour(
    database: str, films: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hours, "MOST_ROWS", 100)
    for hour in range(1, 7):
        answered(database, NOW - timedelta(hours=hour), probabilities(np.random.default_rng(hour), 300))
    with connected(database) as owner:
        owner.execute("UPDATE prediction_log.answers SET request_id = 'always-the-same'")
    settings = training.settings(films, tmp_path)
    Watch(settings).look()
    told = training.client(settings).get("/monitor?by=hour&days=1").get_json()["windows"]
    assert [window["rows"] for window in told] == [300] * 6
    assert all(60 < sum(window["classes"].values()) < 140 for window in told), "a part of each is enough"


def test_what_a_retired_classifier_did_stays_readable(database: str, films: str, tmp_path: Path) -> None:
    settings = training.settings(films, tmp_path)
    answered(database, NOW - timedelta(hours=1), probabilities(np.random.default_rng(1), 300))
    Watch(settings).look()
    with connected(database) as owner:
        owner.execute("UPDATE classifiers SET is_default = false, retired_at = now()")
    told = training.client(settings).get("/monitor?classifier=films&by=hour")
    assert told.status_code == 200 and [window["rows"] for window in told.get_json()["windows"]] == [300]


def test_rows_that_come_late_are_counted_and_a_large_hour_is_sampled(
    database: str, films: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hours, "MOST_ROWS", 500)
    rng = np.random.default_rng(2)
    (classifier,) = classifiers.live(films)
    answered(database, NOW - timedelta(hours=1), probabilities(rng, 100))
    hours.update(films, classifier)
    answered(database, NOW - timedelta(hours=1), probabilities(rng, 1900), of="late")
    hours.update(films, classifier)
    with connected(films, "platform") as platform:
        row = platform.execute("SELECT rows, (found ->> 'rows')::int FROM prediction_log.hours").fetchone()
    assert row and row[0] == 2000 and 350 < int(str(row[1])) < 650


@pytest.mark.parametrize("switch", ["on", "off"])
def test_an_alarm_is_a_line_a_metric_and_part_of_the_page_and_ends(
    database: str, films: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, switch: str
) -> None:
    rng = np.random.default_rng(3)
    settings = training.settings(films, tmp_path, ALARM_STARTS_RUN=switch)
    for ago in range(6, 0, -1):
        answered(database, NOW - timedelta(hours=ago), probabilities(rng, 300, skill=1), of=f"h{ago}-")
    started: list[tuple[str, str]] = []
    watch = Watch(settings, lambda *run: started.append(run))
    with caplog.at_level(logging.WARNING):
        watch.look()
        watch.look()
    assert started == ([("alarm__films__3", "films")] if switch == "on" else [])
    lines = [record.message for record in caplog.records if record.message.startswith("alarm")]
    assert len(lines) == 2, "one for the accuracy, one for the drift of scores, each once"
    assert "alarm (accuracy): films, version 3: answers of the last 24 hours are right in an estimated" in lines[0]
    from training_endpoint.http.api import create_app  # heavy: it brings all that training needs

    client = create_app(settings, watch=watch).test_client()
    told = client.get("/monitor").get_json()
    assert {alarm["kind"] for alarm in told["alarms"]} == {"accuracy", "drift"}
    assert 'monitor_alarm{classifier="films",kind="accuracy"} 1.0' in client.get("/metrics").text
    with connected(database) as owner:
        owner.execute("DELETE FROM prediction_log.answers; DELETE FROM prediction_log.hours")
    with caplog.at_level(logging.WARNING):
        watch.look()
    assert watch.alarms == {} and "is over" in caplog.records[-1].message


def test_after_a_roll_back_alarms_are_about_the_version_that_answers(database: str, films: str, tmp_path: Path) -> None:
    """Also in the hour of the roll-back, in which both have answered."""
    rng = np.random.default_rng(3)
    for ago in range(6, -1, -1):
        answered(database, NOW - timedelta(hours=ago), probabilities(rng, 300, skill=1), of=f"h{ago}-")
    answered(database, NOW, probabilities(rng, 300), version=4, of="new-")
    champion(films, 4)
    watch = Watch(training.settings(films, tmp_path))
    watch.look()
    assert watch.alarms == {}
    champion(films, 3)
    watch.look()
    assert {alarm.version for alarm in watch.alarms.values()} == {3}


def test_answers_that_are_no_numbers_have_no_reference_and_break_no_job(films: str) -> None:
    answers = np.array([[np.nan, np.nan], [0.5, 0.5]])
    reference.keep(films, "text-classifier", 4, answers, np.array([0, 1]), ["bad", "good"], ["x", "y"])
    with connected(films, "platform") as platform:
        assert platform.execute("SELECT version FROM prediction_log.reference").fetchall() == [(3,)]


def test_misspelt_copies_of_the_test_rows_are_answered_and_count(
    films: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(4)
    answers = probabilities(rng, 400)
    labels, texts = np.array(labels_of(rng, answers)), ["a wonderful little film"] * 400
    asked: list[str] = []

    def always_wrong(copies: Sequence[str]) -> Numbers:
        asked.extend(copies)
        return np.stack([labels * 0.9 + 0.05, 0.95 - labels * 0.9], axis=1)

    def broken(copies: Sequence[str]) -> Numbers:
        raise CannotServe("its files are gone")

    given = (answers, labels, ["bad", "good"], texts, tmp_path / "serving")
    reference.keep(films, "text-classifier", 5, *given)
    reference.keep(films, "text-classifier", 6, *given, always_wrong)
    reference.keep(films, "text-classifier", 7, *given, broken)
    with training_database.connect(films) as connection:
        found = [reference.find(connection, "text-classifier", version) for version in (5, 6, 7)]
    alone, spoilt, without = [one and one.calibration for one in found]
    assert len(asked) == 400 and len(set(asked)) > 10 and texts[0] not in asked[:3]
    assert alone and spoilt and spoilt.start + spoilt.slope < alone.start + alone.slope, "less sure than before"
    assert without == alone and "its files are gone" in caplog.text


@pytest.mark.parametrize("query", ["by=week", "days=0", "days=32", "days=x", "classifier="])
def test_what_cannot_be_asked_is_said(films: str, tmp_path: Path, query: str) -> None:
    assert training.client(training.settings(films, tmp_path)).get(f"/monitor?{query}").status_code == 422


def test_without_a_log_there_is_nothing_to_tell(films: str, tmp_path: Path) -> None:
    client = training.client(training.settings(films, tmp_path))
    assert client.get("/monitor").get_json() == {"classifier": "films", "windows": [], "alarms": []}
    assert client.get("/monitor?classifier=none").status_code == 404
