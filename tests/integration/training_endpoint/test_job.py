"""A job's process, from its row to its end, with a pipeline that does what each test wants."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mlops_contract.words import Verdict
from tests import training
from tests.unit.model_endpoint import stub
from training_endpoint import errors
from training_endpoint.data import lineage
from training_endpoint.jobs import job, slack
from training_endpoint.jobs import pipeline as pipelines
from training_endpoint.jobs.pipeline import Outcome
from training_endpoint.jobs.queue import Jobs, view
from training_endpoint.release import ledger, peers, versions
from training_endpoint.release.ledger import Ruling
from training_endpoint.settings import Settings

Pipeline = Callable[..., Outcome]
OUTCOME = Outcome(
    verdict=Verdict.PROMOTED,
    verdict_text="better by two points",
    mlflow_run_id="r1",
    model_version=4,
    champion_version=4,
    metrics={"accuracy": 0.9},
    champion_metrics={"accuracy": float("nan")},
    evidence={"p": 0.01},
    timings={"training": 2.0},
)


RULING = Ruling(None, False, 4, "promoted", "better by two points", {"p": float("nan")})


def failing_call(error: Exception) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        raise error

    return call


def decisions(settings: Settings) -> list[tuple[Any, ...]]:
    """(from, to, verdict) of each, the oldest first."""
    found = ledger.history(settings.database_url, settings.model_name, 100)[::-1]
    return [(one.from_version, one.to_version, one.verdict) for one in found]


@pytest.fixture
def settings(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a platform with a dataset, an MLflow that answers and a job `run-1` that is running."""
    monkeypatch.setattr(peers, "check_mlflow", lambda settings: None)
    monkeypatch.setattr(job, "PATIENCE_S", 0)
    training.dataset(database)
    Jobs(database).submit("run-1", {"epochs": 3})
    Jobs(database).claim()
    made = training.settings(database, tmp_path)
    versions.record(made, stub.voucher(4), None)
    return made


def execute(settings: Settings, monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline) -> tuple[int, dict[str, Any]]:
    """The exit status of the job's process, and the job as people see it then."""
    monkeypatch.setattr(pipelines, "run", pipeline)
    jobs = Jobs(settings.database_url)
    job_id = jobs.newest(1)[0]["job_id"]
    return job.main(job_id, settings, time.monotonic()), view(jobs.get(job_id))


def concluding(running: pipelines.Job) -> Outcome:
    """A pipeline that has its verdict at once."""
    running.conclude(OUTCOME, RULING)
    return OUTCOME


def failing(error: Exception) -> Pipeline:
    def pipeline(running: pipelines.Job) -> Outcome:
        raise error

    return pipeline


def test_the_pipeline_gets_the_rows_and_the_request_and_its_outcome_is_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced: list[Any] = []
    monkeypatch.setattr(slack, "announce", lambda settings, ended: announced.append(ended["status"]))

    def pipeline(running: pipelines.Job) -> Outcome:
        assert set(running.clock.seconds) == {"starting", "reading"}
        assert running.run_id == "run-1" and running.parameters.epochs == 3
        assert len(running.snapshot.train) == len(training.TRAIN)
        written = json.loads((running.work / lineage.FOLDER / "snapshot.json").read_text())
        assert written["digest"] == running.snapshot.digest
        running.report(phase="training", step=7)
        return concluding(running)

    status, seen = execute(settings, monkeypatch, pipeline)
    assert status == 0 and seen["status"] == "succeeded" and announced == ["succeeded"]
    assert (seen["verdict"], seen["model_version"], seen["champion_version"]) == ("promoted", 4, 4)
    assert seen["step"] == 7 and seen["dataset"]["train_rows"] == len(training.TRAIN)
    assert seen["champion_metrics"] == {"accuracy": None} and seen["message"] == "promoted: better by two points"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.OutOfMemory("Lower batch_size."), "Lower batch_size."),
        (MemoryError(), "lower batch_size or max_rows"),
        (RuntimeError("no luck"), "RuntimeError: no luck"),
    ],
)
def test_a_failing_pipeline_fails_the_job_with_a_sentence_and_covers_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    status, seen = execute(settings, monkeypatch, failing(error))
    assert status == 0 and seen["status"] == "failed" and said in seen["error"]
    with psycopg.connect(settings.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM training_coverage").fetchone() == (0,)


def test_events_of_a_burst_that_a_run_has_seen_make_no_other_train(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written while a run waits is read by it, though the relay starts one more for it."""
    announced: list[Any] = []
    monkeypatch.setattr(slack, "announce", lambda settings, ended: announced.append(slack.worth_telling(ended)))

    def started_by_events(run: str) -> None:
        with psycopg.connect(settings.database_url) as connection:
            connection.execute(
                "WITH fresh AS (DELETE FROM training_event_queue RETURNING id, table_name, operation, rows, created_at)"
                " INSERT INTO training_event_history"
                " (id, table_name, operation, rows, created_at, classifier, dag_run_id)"
                " SELECT fresh.*, 'films', %s FROM fresh",
                [run],
            )

    started_by_events("run-1")
    training.insert(settings.database_url, "film_train", [("late but seen", "good")])
    started_by_events("run-2")
    assert execute(settings, monkeypatch, concluding)[1]["status"] == "succeeded"
    jobs = Jobs(settings.database_url)
    jobs.submit("run-2", {})
    jobs.claim()
    status, seen = execute(settings, monkeypatch, failing(AssertionError("nothing is new")))
    assert status == 0 and (seen["status"], seen["verdict"]) == ("succeeded", None)
    assert seen["verdict_text"] == "nothing was trained: run-1 has trained on all rows that started this run"
    assert seen["champion_version"] == 4 and announced == [True, False]

    training.insert(settings.database_url, "film_train", [("new", "good")])
    started_by_events("run-3")
    jobs.submit("run-3", {})
    jobs.claim()
    reached: list[str] = []

    def pipeline(running: pipelines.Job) -> Outcome:
        reached.append(running.run_id)
        raise errors.OutOfMemory("Lower batch_size.")

    execute(settings, monkeypatch, pipeline)
    assert reached == ["run-3"]
    jobs.submit("by-hand", {})
    jobs.claim()
    execute(settings, monkeypatch, pipeline)
    assert reached == ["run-3", "by-hand"], "who asks for a run gets one"


def test_an_absent_mlflow_leaves_the_job_to_be_started_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(settings: Settings) -> None:
        raise errors.MlflowUnavailable("MLflow does not answer.")

    monkeypatch.setattr(peers, "check_mlflow", absent)
    status, seen = execute(settings, monkeypatch, failing(AssertionError("must not be reached")))
    assert status == job.TRY_AGAIN and seen["status"] == "running"


def test_an_mlflow_that_goes_away_in_the_middle_does_so_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pipeline(running: pipelines.Job) -> Outcome:
        def absent(settings: Settings) -> None:
            raise errors.MlflowUnavailable("MLflow does not answer.")

        monkeypatch.setattr(peers, "check_mlflow", absent)
        raise RuntimeError("connection refused")

    status, seen = execute(settings, monkeypatch, pipeline)
    assert status == job.TRY_AGAIN and seen["status"] == "running"


def test_without_the_database_nothing_is_decided_and_the_job_is_started_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as database_away:
        database_away.setattr(Jobs, "succeed", failing_call(errors.DatabaseUnavailable("away")))
        status, seen = execute(settings, monkeypatch, concluding)
    assert status == job.TRY_AGAIN and seen["status"] == "running" and decisions(settings) == []
    status, seen = execute(settings, monkeypatch, concluding)
    assert status == 0 and seen["status"] == "succeeded" and seen["model_version"] == 4
    assert decisions(settings) == [(None, 4, "promoted")]


def test_a_job_cancelled_while_it_runs_stays_cancelled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def pipeline(running: pipelines.Job) -> Outcome:
        Jobs(settings.database_url).cancel(running.job_id)
        return concluding(running)

    status, seen = execute(settings, monkeypatch, pipeline)
    assert status == 0 and seen["status"] == "cancelled" and seen["model_version"] is None
    assert decisions(settings) == []


def test_a_classifier_that_is_made_the_default_has_a_ledger_and_events_of_its_own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was served before, and whatever of the other one is not trained on yet."""
    execute(settings, monkeypatch, concluding)
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE mails (body text, spam boolean);"
            "SELECT create_classifier('spam', 'mails', NULL, 'body', 'spam', 'distilbert/x', 'always');"
            "SELECT make_default_classifier('spam');"
            "INSERT INTO mails SELECT 'mail ' || n, n % 2 = 0 FROM generate_series(1, 50) n;"
            "INSERT INTO film_train VALUES ('a film', 'good')"
        )
    jobs = Jobs(settings.database_url)
    jobs.submit("run-2", {}, classifier="spam")
    jobs.claim()
    versions.record(settings, stub.voucher(1, "spam"), None)

    def pipeline(running: pipelines.Job) -> Outcome:
        assert (running.settings.model_name, running.settings.promotion_policy) == ("spam", "always")
        assert running.parameters.base_model == "distilbert/x" and running.snapshot.label_names == ["false", "true"]
        assert ledger.newest(settings.database_url, running.settings.model_name) is None, "so it is a first Champion"
        outcome = replace(OUTCOME, verdict=Verdict.FIRST_CHAMPION, model_version=1, champion_version=1)
        running.conclude(outcome, Ruling(None, False, 1, "first_champion", "the first", {}))
        return outcome

    status, seen = execute(settings, monkeypatch, pipeline)
    assert (status, seen["status"], seen["classifier"]) == (0, "succeeded", "spam"), seen["error"]
    assert decisions(settings) == [(None, 4, "promoted")] and decisions(replace(settings, model_name="spam")) == [
        (None, 1, "first_champion")
    ]
    with psycopg.connect(settings.database_url) as connection:
        query = "SELECT classifier, state FROM training_data_coverage ORDER BY event"
        assert connection.execute(query).fetchall()[-2:] == [("spam", "succeeded"), ("films", "pending")]
        labels = connection.execute("SELECT labels FROM classifiers WHERE name = 'spam'").fetchone()
    assert labels == (["false", "true"],), "those that were learned"


def test_a_retired_classifier_trains_no_more(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("UPDATE classifiers SET retired_at = now(), is_default = false")
    jobs = Jobs(settings.database_url)
    jobs.cancel(jobs.newest(1)[0]["job_id"])
    jobs.submit("run-2", {}, classifier="films")
    jobs.claim()
    _, seen = execute(settings, monkeypatch, concluding)
    assert seen["status"] == "failed" and "was retired" in seen["error"]
