"""The shadow from a job to its promotion, by the service as it is started: MLflow, the database, trained models."""

import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import requests

from tests import services, tiny_models, training
from tests.database_roles import connected, url_of
from tests.services import wait_until
from tests.tiny_models import WORDS
from training_endpoint.labelling import items
from training_endpoint.labelling.items import Person
from training_endpoint.release import alias, ledger, opponent
from training_endpoint.settings import Settings

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


@contextmanager
def endpoint(variables: dict[str, str], folder: Path) -> Iterator[str]:
    """A running training endpoint; yields its URL once it answers."""
    port = services.free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**variables, "HOST": "127.0.0.1", "PORT": str(port), "PYTHONPATH": ":".join(sys.path)}
    with services.process([sys.executable, "-m", "training_endpoint"], folder / "endpoint.log", environment):
        wait_until("the endpoint answers", lambda: requests.get(f"{url}/health", timeout=5).ok, 90)
        yield url


def run(url: str, **overrides: float) -> dict[str, Any]:
    """One job, to its end."""
    asked = {"run_id": f"run-{time.monotonic_ns()}", "epochs": 4, "learning_rate": 1e-3, **overrides}
    job = requests.post(f"{url}/train", headers={"Authorization": "Bearer t"}, json=asked, timeout=10).json()

    def over() -> bool:
        job.update(requests.get(f"{url}{job['url']}", timeout=10).json())
        return job["status"] in ("succeeded", "failed", "cancelled")

    wait_until("the job ends", over, 180, 0.5)
    assert job["status"] == "succeeded", job["error"]
    return dict(job)


def stands(url: str) -> dict[str, Any]:
    told: dict[str, Any] = requests.get(f"{url}/shadow", timeout=10).json()["shadow"]
    return told


def say(settings: Settings, count: int) -> None:
    """Labels, each what the shadow answers."""
    for _ in range(count):
        item = items.take(settings.database_url, "films", ANNA, {"disagreement": 1.0})
        assert item is not None
        items.submit(settings.database_url, item.id, str(item.shadow_label), ANNA)


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


def test_a_challenger_of_a_job_is_promoted_by_labels_on_what_it_answers_otherwise(
    database: str, mlflow_url: str, tmp_path: Path
) -> None:
    learned = sentences(400, 1)
    training.dataset(database, learned, sentences(40, 2))
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
    with endpoint(variables, tmp_path) as url:
        champion = run(url, seed=1)
        assert champion["verdict"] == "first_champion" and stands(url) is None
        challenger = run(url, seed=2)
        assert challenger["verdict"] == "kept_no_difference", challenger["verdict_text"]
        begins = "it is the shadow now: labels on what it and the Champion answer differently decide"
        assert begins in challenger["verdict_text"]
        version = challenger["model_version"]
        # The same again is not right on more test rows, so the first one stays.
        assert f"version {version} stays the shadow, with " in run(url, seed=2)["verdict_text"]
        assert stands(url)["version"] == version

        # What the Champion was asked since: nonsense, on which two models differ, and a text that both have learned.
        chance = random.Random(3)
        nonsense = {" ".join(chance.choices(WORDS, k=chance.randint(1, 9))) for _ in range(2000)}
        log(database, settings, champion["model_version"], [learned[0][0], *nonsense])
        wait_until("the shadow has answered", lambda: stands(url)["waiting"] >= 10, 60, 0.5)
        with connected(database) as owner:
            waiting = owner.execute("SELECT text, champion_label, shadow_label FROM label_queue.items").fetchall()
        assert all(theirs != own for _, theirs, own in waiting) and learned[0][0] not in {text for text, *_ in waiting}
        say(settings, 3)
        wait_until("three labels count", lambda: stands(url)["labels"] == 3, 60, 0.5)

    with endpoint(variables, tmp_path) as url:  # started again in the middle
        assert stands(url)["labels"] == 3
        say(settings, 4)
        wait_until("labels have decided", lambda: stands(url)["outcome"] == "promoted", 60, 0.5)
        wait_until("MLflow follows", lambda: alias.named(settings) == version, 30, 0.5)
        newest = ledger.newest(settings.database_url, "text-classifier")
        assert newest is not None and (newest.who, newest.to_version) == ("labels", version)
        assert newest.evidence["shadow"]["won"] == 7
