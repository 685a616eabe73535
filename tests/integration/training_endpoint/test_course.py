"""Which course a run takes, on a real MLflow and a real database, with a tiny base model."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow.parquet as pq
import pytest
import requests
import torch
from psycopg.types.json import Jsonb

from mlops_contract.words import Verdict
from tests import tiny_models, training
from training_endpoint.clock import Clock
from training_endpoint.data import lineage, reproduce, snapshot
from training_endpoint.jobs import course, pipeline
from training_endpoint.jobs.queue import Jobs
from training_endpoint.learn import warm
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.release import ledger, versions
from training_endpoint.release.ledger import Ruling
from training_endpoint.settings import Settings

GOOD, BAD = tiny_models.WORDS[:4], tiny_models.WORDS[4:8]
STARTS = [
    "the film is",
    "the film was",
    "a book is",
    "a book was",
    "it is",
    "it was",
    "the book and film was",
    "a film",
]


def films(starts: list[str]) -> list[tuple[str, str]]:
    return [
        (f"{start} {word}", label)
        for start in starts
        for words, label in ((GOOD, "good"), (BAD, "bad"))
        for word in words
    ]


@pytest.fixture
def settings(database: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Small tables are small: here already a few rows are enough for a run from the Champion."""
    monkeypatch.setattr(warm, "LEAST", 4)
    monkeypatch.setattr(warm, "REPLAYED", 3)
    training.dataset(database, films(STARTS[:7]), films(STARTS[7:]))
    execute(database, f"UPDATE classifiers SET model_name = 'course-{tmp_path.name}'")
    base = tiny_models.save("bert", tmp_path / "base")
    return training.settings(
        database,
        tmp_path,
        MLFLOW_TRACKING_URI=mlflow_url,
        MODEL_NAME=f"course-{tmp_path.name}",
        BASE_MODEL=str(base),
        LATENCY_BUDGET_MS="60000",
        PROMOTION_POLICY="always",
    )


class Desk:
    """Makes jobs of the rows as they are, and runs them as a job's process does."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.jobs = Jobs(settings.database_url)

    def job(self, name: str, settings: Settings | None = None, **overrides: Any) -> pipeline.Job:
        settings = settings or self.settings
        self.jobs.submit(name, {})
        claimed = self.jobs.claim()
        assert claimed is not None and claimed["run_id"] == name
        work = self.folder / "jobs" / name
        work.mkdir(parents=True, exist_ok=True)
        taken = snapshot.read(settings.database_url, settings.max_text_chars)
        lineage.write(taken, settings.max_text_chars, work / lineage.FOLDER)

        def conclude(outcome: pipeline.Outcome, ruling: Ruling) -> None:
            result = {"verdict": ruling.verdict, "mlflow_run_id": outcome.mlflow_run_id, "course": outcome.course}
            self.jobs.succeed(
                claimed["job_id"],
                {**result, "model_version": outcome.model_version, "dataset": {"name": taken.name}},
                [],
                lambda c: ledger.decide_for_job(c, settings.model_name, claimed["job_id"], ruling),
            )

        told = {"epochs": 6, "batch_size": 8, "learning_rate": 3e-3, **overrides}
        return pipeline.Job(
            run_id=name,
            job_id=claimed["job_id"],
            snapshot=taken,
            parameters=Hyperparameters.from_request(told, Hyperparameters.defaults(settings)),
            settings=settings,
            report=lambda **fields: None,
            work=work,
            clock=Clock(),
            conclude=conclude,
        )

    def run(self, name: str, **overrides: Any) -> pipeline.Outcome:
        return pipeline.run(self.job(name, **overrides))

    def decided(self, name: str, settings: Settings | None = None, **overrides: Any) -> course.Course:
        """The course that a job would take now."""
        job = self.job(name, settings, **overrides)
        found, _, _ = course.begin(job)
        self.jobs.fail(job.job_id, "only asked")
        return found


@pytest.fixture
def desk(settings: Settings, tmp_path: Path) -> Desk:
    return Desk(settings, tmp_path)


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement)


@pytest.mark.timeout(600)
def test_runs_go_on_from_the_champion_and_reproduce_walks_the_chain(
    desk: Desk, settings: Settings, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = desk.run("first")
    assert first.verdict is Verdict.FIRST_CHAMPION and first.course["mode"] == "full"
    assert "a full run, because there is no Champion yet" in first.verdict_text

    # A label put right, a row gone, a row new: 2 new to the model, and 2 that the table says no more.
    execute(database, "UPDATE film_train SET label = 'bad' WHERE text = 'the film is good'")
    execute(database, "DELETE FROM film_train WHERE text = 'the film is great'")
    training.insert(database, "film_train", [("the book is very fine", "good")])
    second = desk.run("second")
    assert (second.model_version, second.champion_version) == (2, 2)
    told = second.course
    assert (told["mode"], told["from_version"], told["chain"]) == ("warm", 1, [1])
    assert (told["new"], told["gone"], told["replayed"]) == (2, 2, 6)
    assert "a warm run, because little has changed since version 1" in second.verdict_text
    assert "2 training rows are new, 2 are gone or were corrected" in second.verdict_text
    assert "after 9 more such runs at the latest" in second.verdict_text
    behind = lineage.trained_on(tmp_path / "jobs/second/lineage")
    assert behind is not None and len(behind) == 8
    assert int.from_bytes(snapshot.row_hash("train", "the film is good", "bad")[:8]) in behind.tolist()

    training.insert(database, "film_train", [("it was very awful", "bad")])
    third = desk.run("third")
    assert third.course["chain"] == [2, 1]
    capsys.readouterr()
    out = tmp_path / "rows.parquet"
    assert reproduce.main(["3", "--out", str(out)], settings) == 1, "version 1 had rows that are gone"
    said = capsys.readouterr().out
    assert "Version 3 can be reproduced" in said and "Version 2 cannot be reproduced" not in said.split("Version 1 ")[1]
    assert "Version 1 cannot be reproduced: 2 of" in said and "trained on 4 of its training rows" in said
    rows = pq.read_table(out)
    assert rows.num_rows == 65 and sum(rows["trained"].to_pylist()) == 4

    fourth = desk.run("fourth")
    assert "a full run, because no row is new or gone since version 3" in fourth.verdict_text
    with psycopg.connect(database) as connection:
        evidence = connection.execute("SELECT evidence -> 'course' FROM promotion_ledger ORDER BY id").fetchall()
    assert [row[0]["mode"] for row in evidence] == ["full", "warm", "warm", "full"]

    # Only what no model has learned is looked at: not the label that was put right before the second run.
    train, test = second.evidence["label_errors"]
    assert (train["source"], train["looked_at"], train["trouble"]) == ("train", 1, "")
    assert (test["source"], test["looked_at"], test["trouble"]) == ("test", 8, "")
    wrong = [(f"it was a {word} film", "bad") for word in GOOD]
    training.insert(database, "film_train", [*wrong, *((f"it was a {word} film", "bad") for word in BAD)])
    fifth = desk.run("fifth")
    found = fifth.evidence["label_errors"][0]
    assert found["standing"] in range(1, 5) and (found["looked_at"], found["trouble"]) == (8, ""), found
    assert f"perhaps wrong ({found['standing']} of training rows" in fifth.verdict_text
    with psycopg.connect(database) as connection:
        doubted = connection.execute(
            "SELECT text, given_label, champion_label, champion_version FROM label_queue.items"
            " WHERE dropped_at IS NULL AND source = 'train'"
        ).fetchall()
        reason = connection.execute("SELECT reason FROM promotion_ledger ORDER BY id DESC LIMIT 1").fetchone()
    assert doubted and {row[0] for row in doubted} <= {text for text, _ in wrong}
    assert {row[1:] for row in doubted} == {("bad", "good", fourth.champion_version)}
    assert reason == (fifth.verdict_text,), "the ledger and the console say it too"


@pytest.mark.timeout(600)
def test_why_a_run_is_a_full_one(desk: Desk, settings: Settings, database: str, tmp_path: Path) -> None:
    def decided(name: str, settings: Settings | None = None, **overrides: Any) -> str:
        return str(desk.decided(name, settings, **overrides))

    desk.run("first")
    training.insert(database, "film_train", [("it was very awful", "bad")])
    assert decided("warm").startswith("a warm run")
    assert "that was asked for" in decided("asked", training_mode="full")
    every = training.settings(
        database,
        tmp_path,
        MLFLOW_TRACKING_URI=settings.mlflow_tracking_uri,
        MODEL_NAME=settings.model_name,
        BASE_MODEL=settings.base_model,
        TRAINING_MODE="full",
    )
    assert "that was asked for" in decided("set", every)
    other = tiny_models.save("distilbert", tmp_path / "other")
    assert "version 1 began with another base model" in decided("base", base_model=str(other))
    assert "costs little more" in decided("drawn", max_rows=4)
    with psycopg.connect(database) as connection:
        detail = Jsonb({"dataset": {"name": "films"}, "course": {"mode": "warm"}})
        connection.execute(
            "INSERT INTO training_jobs (job_id, run_id, status, detail, finished_at)"
            " SELECT 'j' || n, 'r' || n, 'succeeded', %s, now() + interval '1 s' FROM generate_series(1, 10) n",
            [detail],
        )
    assert "10 runs went on from a Champion" in decided("due")
    execute(database, "DELETE FROM training_jobs WHERE job_id LIKE 'j%' AND length(job_id) < 4")
    training.insert(database, "film_train", [(f"the film {word} it {word}", "odd") for word in tiny_models.WORDS] * 2)
    training.insert(database, "film_train", [(f"a film {word} {word}", "odd") for word in tiny_models.WORDS])
    training.insert(database, "film_test", [("the film it", "odd")])
    assert "version 1 knows no class 'odd'" in decided("class")
    execute(database, "DELETE FROM film_train WHERE label = 'odd'; DELETE FROM film_test WHERE label = 'odd'")
    execute(database, "UPDATE film_train SET text = 'not ' || text WHERE text LIKE 'the film%'")
    assert "of the rows are new or gone since version 1" in decided("much")
    execute(database, "UPDATE film_train SET text = substr(text, 5) WHERE text LIKE 'not %'")
    assert decided("again").startswith("a warm run")
    voucher = versions.get(settings, 1)
    path = f"mlflow-artifacts/artifacts/{voucher.root}/lineage/rows.parquet"
    requests.put(f"{settings.mlflow_tracking_uri}/api/2.0/{path}", data=b"other", timeout=10).raise_for_status()
    shutil.rmtree(tmp_path / "versions")
    assert "nothing vouches for the rows behind version 1" in decided("unvouched")


@pytest.mark.timeout(600)
def test_a_resumed_job_keeps_its_course_and_its_rows(desk: Desk, database: str) -> None:
    desk.run("first")
    training.insert(database, "film_train", [("it was very awful", "bad")])
    job = desk.job("cut")
    before, base, made = course.begin(job)
    desk.jobs.fail(job.job_id, "interrupted")
    after, again, remade = course.begin(replace(job, parameters=replace(job.parameters, training_mode="full")))
    assert after.told == before.told and after.warm and base == again
    assert before.places is not None and after.places is not None
    assert np.array_equal(before.places, after.places)
    assert all(torch.equal(a, b) for a, b in zip(made.model.parameters(), remade.model.parameters(), strict=True))
    assert after.parameters(Hyperparameters()).learning_rate == Hyperparameters.warm_learning_rate
