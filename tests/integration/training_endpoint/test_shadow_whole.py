"""The shadow from a real job to a real promotion: MLflow, the database, trained models, a process of its own."""

import json
import os
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mlops_contract.words import JobStatus
from tests import tiny_models, training
from tests.database_roles import connected, url_of
from tests.tiny_models import WORDS
from training_endpoint import database as databases
from training_endpoint.data import classifiers
from training_endpoint.jobs import job
from training_endpoint.jobs.queue import Jobs
from training_endpoint.labelling import items, settle
from training_endpoint.labelling.items import Person
from training_endpoint.release import alias, ledger, opponent
from training_endpoint.release.desk import Desk
from training_endpoint.release.reconciler import Reconciler
from training_endpoint.settings import Settings
from training_endpoint.shadow import decisions, shadows
from training_endpoint.shadow.rounds import Rounds

ANNA = Person("anna", "session 1")
GOOD, BAD, OTHERS = WORDS[:4], WORDS[4:8], WORDS[8:]


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """Texts with one word that tells their label."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        words = chance.choices(OTHERS, k=6)
        words.insert(chance.randrange(6), chance.choice(GOOD if number % 2 else BAD))
        made.append((" ".join(words), "good" if number % 2 else "bad"))
    return made


def run(settings: Settings, **overrides: float) -> dict[str, Any]:
    """One job, to its end."""
    jobs = Jobs(settings.database_url)
    made, _ = jobs.submit(f"run-{time.monotonic_ns()}", overrides)
    jobs.claim()
    assert job.main(made["job_id"], settings, time.monotonic()) == 0
    ended = jobs.get(made["job_id"])
    assert ended["status"] == JobStatus.SUCCEEDED, ended["error"]
    return ended


def log(database: str, settings: Settings, version: int, asked: list[str]) -> None:
    """What a version answered, some seconds ago."""
    names, found = opponent.of(settings, version, asked, ["bad", "good"])
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        columns = "at, request_id, place, classifier, version, replica, text, label, scores, truncated, pieces"
        with cursor.copy(f"COPY prediction_log.answers ({columns}) FROM STDIN") as copy:
            for number, (text, scores) in enumerate(zip(asked, found.tolist(), strict=True)):
                at = datetime.now(UTC) - timedelta(seconds=20 - number / 100)
                label = ["bad", "good"][int(scores[1] > scores[0])]
                row = json.dumps(dict(zip(["bad", "good"], scores, strict=True)))
                copy.write_row((at, f"r{number}", 0, "films", version, "one", text, label, row, False, 4))
    assert set(names) == {"bad", "good"}


def said(job: dict[str, Any]) -> str:
    return str(job["detail"]["verdict_text"])


def test_a_challenger_of_a_job_is_promoted_by_labels_on_what_it_answers_otherwise(
    database: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.dataset(database, sentences(200, 1), sentences(40, 2))
    with connected(database) as owner:
        owner.execute("ALTER TABLE film_train OWNER TO platform; ALTER TABLE film_test OWNER TO platform")
    variables = {
        "DATABASE_URL": url_of(database, "platform"),
        "MLFLOW_TRACKING_URI": mlflow_url,
        "PLATFORM_TOKEN": "t",
        "STATE_DIR": str(tmp_path / "state"),
        "BASE_MODEL": str(tiny_models.save("bert", tmp_path / "base")),
        "LATENCY_BUDGET_MS": "5000",
        "MAX_OVERLAP": "1",
    }
    settings = Settings.from_env(variables)
    url = settings.database_url
    champion = run(settings, epochs=3, learning_rate=2e-3, seed=1)
    assert champion["verdict"] == "first_champion"
    challenger = run(settings, epochs=3, learning_rate=2e-3, seed=2)
    assert challenger["verdict"] == "kept_no_difference", challenger["detail"]
    assert "it is the shadow now: labels on what it and the Champion answer differently decide" in said(challenger)
    # The same again is not right on more test rows, so the first one stays.
    again = run(settings, epochs=3, learning_rate=2e-3, seed=2)
    shadow = shadows.current(url, "text-classifier")
    assert shadow is not None and shadow.version == challenger["model_version"]
    assert f"version {shadow.version} stays the shadow, with " in said(again)

    # What the Champion was asked since: nonsense, on which two models differ.
    chance = random.Random(3)
    asked = list({" ".join(chance.choices(WORDS, k=chance.randint(1, 9))) for _ in range(600)})
    learned = sentences(200, 1)[0][0]
    asked[0] = learned
    log(database, settings, champion["model_version"], asked)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    rounds = Rounds(settings)
    rounds.look()
    assert rounds.rests == {}, "its process ended well"
    shadow = shadows.current(url, "text-classifier")
    assert shadow is not None and shadow.answered >= 64 and shadow.differed >= 10
    with databases.connect(url) as own:
        waiting = own.execute("SELECT text, champion_label, shadow_label FROM labelling.items").fetchall()
    assert all(row["champion_label"] != row["shadow_label"] for row in waiting)
    assert learned not in {row["text"] for row in waiting}

    desk = Desk(settings, Reconciler(settings))
    for _ in range(7):
        decisions.decide(desk)
        assert desk.champion() == champion["model_version"]
        item = items.take(url, "films", ANNA, {"disagreement": 1.0})
        assert item is not None
        items.submit(url, item.id, str(item.shadow_label), ANNA)
        settle.apply(settings, undo_s=0)
    decisions.decide(desk)
    newest = ledger.newest(url, "text-classifier")
    assert newest is not None and (newest.who, newest.to_version) == ("labels", shadow.version)
    assert newest.evidence["shadow"]["won"] == 7
    desk.reconciler.step()
    assert alias.named(settings) == shadow.version
    told = decisions.standing(settings, classifiers.get(url, "films"))
    assert told and told["outcome"] == "promoted"
