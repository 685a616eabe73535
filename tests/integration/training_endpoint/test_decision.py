"""How a judged job decides: people may move the alias at any moment, and the job may be killed at any."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mlflow import MlflowClient

from mlops_contract.words import Verdict
from tests import training
from training_endpoint.clock import Clock
from training_endpoint.errors import JobEnded
from training_endpoint.jobs import pipeline
from training_endpoint.jobs.pipeline import Outcome
from training_endpoint.jobs.queue import Jobs
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.release import ledger, registry
from training_endpoint.settings import Settings


@pytest.fixture
def settings(database: str, mlflow_url: str, tmp_path: Path) -> Settings:
    """Settings of a platform with three registered versions, the second the Champion, and a running job."""
    name = f"model-{tmp_path.name}"
    client = MlflowClient(mlflow_url)
    client.create_registered_model(name)
    run = client.create_run("0").info
    for _ in range(3):
        client.create_model_version(name, source=f"{run.artifact_uri}/model", run_id=run.run_id)
    client.set_registered_model_alias(name, "Champion", "2")
    Jobs(database).submit("run-1", {})
    Jobs(database).claim()
    return training.settings(database, tmp_path, MLFLOW_TRACKING_URI=mlflow_url, MODEL_NAME=name)


def champion(settings: Settings) -> int:
    return int(registry.champion(settings).version)  # type: ignore[union-attr] # there is one


def moves(settings: Settings) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.database_url) as connection:
        query = "SELECT who, from_version, to_version, verdict FROM promotion_ledger ORDER BY id"
        return connection.execute(query).fetchall()


def by_hand(settings: Settings, version: int) -> None:
    with ledger.alone(settings.database_url):
        registry.move_alias(settings, version, who="ada", verdict="override", reason="x", evidence={}, job_id=None)


def run(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    verdict: Verdict = Verdict.PROMOTED,
    meanwhile: Callable[[], object] = lambda: None,
) -> tuple[Outcome, list[int]]:
    """Runs the job, whose challenger is version 3; also the Champions that it was compared with, one after another.

    `meanwhile` happens between the first comparison and the decision.
    """
    compared: list[int] = []

    def judge(*arguments: Any) -> Outcome:
        compared.append(champion(settings))
        if len(compared) == 1:
            meanwhile()
        return Outcome(verdict, "because", "r1", 3, compared[-1], {}, {}, {}, {})

    monkeypatch.setattr(pipeline, "_run", judge)
    job = Jobs(settings.database_url).newest(1)[0]
    rows: Any = None  # judged without them
    work, clock = settings.state_dir, Clock()
    return pipeline.run(
        "run-1", job["job_id"], rows, Hyperparameters(), settings, lambda **fields: None, work, clock
    ), compared


def test_a_champion_that_changed_meanwhile_is_compared_with(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, compared = run(settings, monkeypatch, meanwhile=lambda: by_hand(settings, 1))
    assert compared == [2, 1] and outcome.champion_version == champion(settings) == 3
    assert moves(settings) == [("ada", 2, 1, "override"), ("training", 1, 3, "promoted")]


def test_a_kept_champion_is_the_one_that_the_ledger_names(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, compared = run(settings, monkeypatch, Verdict.KEPT_WORSE, meanwhile=lambda: by_hand(settings, 1))
    assert compared == [2, 1] and outcome.champion_version == champion(settings) == 1
    assert moves(settings)[1:] == [("training", 1, 1, "kept_worse")]


@pytest.fixture
def killed_before_the_move(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was killed when its decision was recorded and the alias not yet moved."""

    def killed(*arguments: Any) -> None:
        raise SystemExit(1)

    with monkeypatch.context() as dying:
        dying.setattr(registry, "set_alias", killed)
        with pytest.raises(SystemExit):
            run(settings, dying)
    assert champion(settings) == 2 and moves(settings) == [("training", 2, 3, "promoted")]


@pytest.mark.usefixtures("killed_before_the_move")
def test_a_recorded_decision_is_carried_out_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        outcome, compared = run(settings, monkeypatch)
        assert compared == [] and outcome.champion_version == champion(settings) == 3
    assert len(moves(settings)) == 1


@pytest.mark.usefixtures("killed_before_the_move")
def test_a_later_decision_of_a_person_stands(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(settings, 1)
    run(settings, monkeypatch)
    assert champion(settings) == 1 and len(moves(settings)) == 2


def test_a_job_cancelled_before_it_decides_moves_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Jobs(settings.database_url)
    with pytest.raises(JobEnded):
        run(settings, monkeypatch, meanwhile=lambda: jobs.cancel(jobs.newest(1)[0]["job_id"]))
    assert champion(settings) == 2 and moves(settings) == []


def test_the_ledger_refuses_to_be_changed(settings: Settings) -> None:
    by_hand(settings, 1)
    for statement in (
        "UPDATE promotion_ledger SET who = 'x'",
        "DELETE FROM promotion_ledger",
        "TRUNCATE promotion_ledger",
    ):
        with psycopg.connect(settings.database_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)
