"""A job's process, from its row to its end, with a pipeline that does what each test wants."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mlops_contract.words import Verdict
from tests import training
from training_endpoint import errors
from training_endpoint.data import lineage
from training_endpoint.jobs import job, slack
from training_endpoint.jobs import pipeline as pipelines
from training_endpoint.jobs.pipeline import Outcome
from training_endpoint.jobs.queue import Jobs, view
from training_endpoint.release import peers
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


@pytest.fixture
def settings(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a platform with a dataset, an MLflow that answers and a job `run-1` that is running."""
    monkeypatch.setattr(peers, "check_mlflow", lambda settings: None)
    monkeypatch.setattr(job, "PATIENCE_S", 0)
    training.dataset(database)
    Jobs(database).submit("run-1", {"epochs": 3})
    Jobs(database).claim()
    return training.settings(database, tmp_path)


def execute(settings: Settings, monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline) -> tuple[int, dict[str, Any]]:
    """The exit status of the job's process, and the job as people see it then."""
    monkeypatch.setattr(pipelines, "run", pipeline)
    jobs = Jobs(settings.database_url)
    job_id = jobs.newest(1)[0]["job_id"]
    return job.main(job_id, settings, time.monotonic()), view(jobs.get(job_id))


def failing(error: Exception) -> Pipeline:
    def pipeline(*arguments: Any) -> Outcome:
        raise error

    return pipeline


def test_the_pipeline_gets_the_rows_and_the_request_and_its_outcome_is_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced: list[Any] = []
    monkeypatch.setattr(slack, "announce", lambda settings, ended: announced.append(ended["status"]))

    def pipeline(
        run_id: str, job_id: str, taken: Any, parameters: Any, settings: Settings, report: Any, work: Path, clock: Any
    ) -> Outcome:
        assert set(clock.seconds) == {"starting", "reading"}
        assert run_id == "run-1" and parameters.epochs == 3 and len(taken.train) == len(training.TRAIN)
        assert json.loads((work / lineage.FOLDER / "snapshot.json").read_text())["digest"] == taken.digest
        report(phase="training", step=7)
        return OUTCOME

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
    def pipeline(*arguments: Any) -> Outcome:
        def absent(settings: Settings) -> None:
            raise errors.MlflowUnavailable("MLflow does not answer.")

        monkeypatch.setattr(peers, "check_mlflow", absent)
        raise RuntimeError("connection refused")

    status, seen = execute(settings, monkeypatch, pipeline)
    assert status == job.TRY_AGAIN and seen["status"] == "running"


def test_a_result_that_could_not_be_written_is_not_computed_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as database_away:
        database_away.setattr(Jobs, "succeed", failing(errors.DatabaseUnavailable("away")))
        status, seen = execute(settings, monkeypatch, lambda *arguments: OUTCOME)
    assert status == job.TRY_AGAIN and seen["status"] == "running"
    status, seen = execute(settings, monkeypatch, failing(AssertionError("must not be reached")))
    assert status == 0 and seen["status"] == "succeeded" and seen["model_version"] == 4


def test_a_job_cancelled_while_it_runs_stays_cancelled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def pipeline(run_id: str, job_id: str, *others: Any) -> Outcome:
        Jobs(settings.database_url).cancel(job_id)
        return OUTCOME

    status, seen = execute(settings, monkeypatch, pipeline)
    assert status == 0 and seen["status"] == "cancelled" and seen["verdict"] is None
