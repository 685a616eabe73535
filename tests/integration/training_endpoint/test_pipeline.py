"""The whole pipeline on a real MLflow and a real database: two jobs, one after the other."""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import psycopg
import pytest
from mlflow import MlflowClient

from mlops_contract.words import Verdict
from model_runner.artifact import Manifest
from training_endpoint import database as training_database
from training_endpoint.clock import Clock
from training_endpoint.console import picture
from training_endpoint.data.snapshot import Rows, Snapshot
from training_endpoint.jobs import challenger, pipeline
from training_endpoint.jobs.queue import Jobs
from training_endpoint.learn import device
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.monitor import reference
from training_endpoint.monitor.estimate import Reference
from training_endpoint.release import alias, ledger, opponent, versions
from training_endpoint.release.ledger import Ruling
from training_endpoint.settings import Settings

PHASES = ["starting", "training", "exporting", "evaluating", "registering", "comparing"]
GOOD = ["a joy from start to end", "warm and funny", "I loved every minute", "simply wonderful", "a great evening"]
BAD = ["a mess from start to end", "cold and dull", "I hated every minute", "simply awful", "a wasted evening"]


def rows(marks: list[str]) -> Rows:
    texts = [f"{text}, {mark}" for mark in marks for text in GOOD + BAD]
    return Rows(texts, [int(text.split(",")[0] in GOOD) for text in texts])


@pytest.fixture
def settings(database: str, mlflow_url: str, tmp_path: Path) -> Settings:
    variables = {"DATABASE_URL": database, "MLFLOW_TRACKING_URI": mlflow_url, "PLATFORM_TOKEN": "t"}
    variables |= {"STATE_DIR": str(tmp_path), "MODEL_NAME": f"classifier-{tmp_path.name}", "LATENCY_BUDGET_MS": "5000"}
    return Settings.from_env(variables)


def train(settings: Settings, job_id: str, snapshot: Snapshot, folder: Path, **overrides: Any) -> pipeline.Outcome:
    """Runs a job's pipeline, and concludes it as the job's process does."""
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(
            "INSERT INTO training_jobs (job_id, run_id, status) VALUES (%s, %s, 'running')", [job_id, f"run-{job_id}"]
        )
    folder.mkdir(parents=True, exist_ok=True)
    said: list[dict[str, Any]] = []
    tested: list[Reference | None] = []

    def conclude(outcome: pipeline.Outcome, ruling: Ruling) -> None:
        tested.append(reference_of(settings, outcome.model_version))
        result = {"verdict": ruling.verdict, "mlflow_run_id": outcome.mlflow_run_id}
        Jobs(settings.database_url).succeed(
            job_id,
            {**result, "model_version": outcome.model_version},
            [],
            lambda c: ledger.decide_for_job(c, settings.model_name, job_id, ruling),
        )

    outcome = pipeline.run(
        pipeline.Job(
            run_id=f"run-{job_id}",
            job_id=job_id,
            snapshot=snapshot,
            parameters=Hyperparameters.from_request(overrides, Hyperparameters()),
            settings=settings,
            report=lambda **fields: said.append(fields),
            work=folder,
            clock=Clock(),
            conclude=conclude,
        )
    )
    shares = [fields["progress"] for fields in said if fields.get("progress") is not None]
    assert shares == sorted(shares) and shares[-1] >= 0.98
    assert tested[0] and tested[0] != reference_of(settings, outcome.model_version), (
        "misspelt texts are asked afterwards"
    )
    phases = [fields["phase"] for fields in said if fields.get("phase") is not None]
    assert phases in (PHASES, [PHASES[0], PHASES[-1]]), "the second is what goes on with a registered version"
    return outcome


def reference_of(settings: Settings, version: int) -> Reference | None:
    """What monitoring knows of a version."""
    with training_database.connect(settings.database_url) as connection:
        return reference.find(connection, settings.model_name, version)


def remembers(settings: Settings, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Champion's files and what it answered are here, to the last bit what its files answer."""
    asked = (settings, 1, snapshot.test.texts, snapshot.label_names)
    with monkeypatch.context() as without_running:
        without_running.setattr(opponent, "answers_of", None)
        without_running.setattr(versions, "mlflow_files", lambda *_: None)  # no source
        _, remembered = opponent.of(*asked)
    shutil.rmtree(settings.state_dir / "answers")
    assert np.array_equal(remembered, opponent.of(*asked)[1])


def test_first_champion_then_a_verdict_and_the_ledger(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = Snapshot(
        name="tiny",
        train_table="tiny_train",
        test_table="tiny_test",
        text_column="text",
        label_column="label",
        label_names=["negative", "positive"],
        train=rows(["she said", "he wrote", "they told us", "we think"]),
        test=rows(["my friend says", "so the paper"]),
        digest="d" * 64,
        watermark="1:1:",
    )
    first = train(settings, "a", snapshot, tmp_path / "a", epochs=4, seed=1)
    assert first.verdict is Verdict.FIRST_CHAMPION, first.verdict_text
    assert (first.model_version, first.champion_version) == (1, 1)
    assert first.metrics["accuracy"] > 0.8

    mlflow_client = MlflowClient(settings.mlflow_tracking_uri)
    assert alias.named(settings) is None, "the reconciler moves it, not the job"
    version = mlflow_client.get_model_version(settings.model_name, "1")
    assert version.tags["verdict"] == "first_champion" and version.tags["dataset_digest"] == "d" * 64
    got = Path(mlflow.artifacts.download_artifacts(f"models:/{settings.model_name}/1", dst_path=str(tmp_path / "got")))
    assert json.loads((got / "verdict/verdict.json").read_text())["verdict"] == "first_champion"
    assert picture.comparison(settings, "1") == (got / "verdict/comparison.png").read_bytes(), "the console shows it"
    assert sum(file.stat().st_size for file in got.rglob("*")) < 60e6, "weights are kept once, in 16 bits"
    voucher = versions.get(settings, 1)
    for path, digest in voucher.files.items():
        assert hashlib.sha256((got / path).read_bytes()).hexdigest() == digest, path
    assert {path.split("/")[0] for path in voucher.files} >= {"serving", "model", "components"}
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    loaded = mlflow.transformers.load_model(f"models:/{settings.model_name}/1")
    assert loaded("warm and funny")[0]["label"] in ("negative", "positive"), "MLflow's users can load it themselves"
    manifest = Manifest.read(got / "serving")
    held = [(got / "serving" / form.file).is_file() and voucher.files[form.data] for form in manifest.forms]
    assert manifest.labels == ["negative", "positive"] and all(held)

    run = mlflow_client.get_run(first.mlflow_run_id)
    assert run.info.status == "FINISHED" and run.data.params["seed"] == "1"
    assert {entry.dataset.name for entry in run.inputs.dataset_inputs} == {"tiny_train", "tiny_test"}
    assert "test_accuracy" in run.data.metrics and "loss" in run.data.metrics

    remembers(settings, snapshot, monkeypatch)
    # Almost untrained: never better than the first, whatever the seed. In two processes, as on two GPUs.
    monkeypatch.setattr(device, "gpus", lambda: 2)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    second = train(settings, "b", snapshot, tmp_path / "b", epochs=1, learning_rate=1e-7, seed=2)
    assert second.verdict in (Verdict.KEPT_WORSE, Verdict.KEPT_NO_DIFFERENCE, Verdict.KEPT_FAILED_CHECK)
    assert (second.model_version, second.champion_version) == (2, 1)
    override = 'To serve it all the same: sh launch.sh promote 2 --classifier tiny --reason "…"'
    assert second.verdict_text.endswith(override)
    assert mlflow_client.get_model_version(settings.model_name, "2").tags["verdict_text"] == second.verdict_text
    assert (
        second.evidence["looks"] == {"earlier": 0, "fresh": 0, "replaced": 0.0}
        and len(second.evidence["rows"]["test"]) == 20
    )
    assert mlflow_client.get_run(second.mlflow_run_id).data.params["device"].startswith("2 x cpu")

    with psycopg.connect(settings.database_url) as connection:
        decided = connection.execute("SELECT job_id, to_version, verdict FROM promotion_ledger ORDER BY id").fetchall()
    assert decided == [("a", 1, "first_champion"), ("b", 1, str(second.verdict))]

    # A job that was killed before it could conclude is judged again, and neither trained nor registered again.
    monkeypatch.setattr(challenger, "make", failing)
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("DELETE FROM training_jobs WHERE job_id = 'b'")
    again = train(settings, "b", snapshot, tmp_path / "b")
    assert (again.model_version, again.champion_version) == (2, 1)
    assert mlflow_client.get_model_version(settings.model_name, "2").tags["verdict"] == str(again.verdict)

    # From the Champion's weights, by their digests.
    found = opponent.classifier(settings, 128)
    assert found is not None and found[0] == 1 and found[1].label_names == ["negative", "positive"]


def failing(*arguments: Any) -> Any:
    raise AssertionError("must not be reached")
