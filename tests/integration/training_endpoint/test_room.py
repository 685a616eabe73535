"""A job whose artifacts find no room: said within seconds, what may go is removed, and the job goes on by itself."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from tests.releases import Release, release
from tests.services import wait_until
from training_endpoint.jobs import room
from training_endpoint.release import peers
from training_endpoint.release.artifacts import Room
from training_endpoint.upkeep import space

NEEDED = 50_000_000


@pytest.fixture
def made(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    monkeypatch.setattr(room, "LOOK_S", 0.05)
    with release(database, tmp_path, KEEP_REJECTED_VERSIONS="0") as one:
        yield one


def waiting(made: Release, said: list[str], store: Any) -> threading.Thread:
    """A job that stores."""

    def report(**fields: Any) -> None:
        said.append(fields["message"])

    thread = threading.Thread(target=room.for_artifacts, args=(made.settings, report, NEEDED, store))
    thread.start()
    return thread


def test_a_full_disk_is_said_at_once_and_the_job_goes_on_when_there_is_room(
    made: Release, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    monkeypatch.setattr(peers, "say_in_slack", lambda settings, text: told.append(text))
    made.crown()
    made.settle()
    rejected = made.register()
    made.mlflow.free = 12_000_000
    said: list[str] = []
    stored: list[float] = []
    start = time.monotonic()
    thread = waiting(made, said, lambda: stored.append(time.monotonic()))
    wait_until("it is said", lambda: bool(said and told), 5, 0.02)
    assert time.monotonic() - start < 5
    sentence = "the disk of MLflow's artifacts is full, 12 MB of 64 MB are free and 58 MB are needed"
    assert sentence in said[0] and sentence in told[0] and sentence in caplog.text
    wait_until("what may go has gone", lambda: f"{rejected.root}/serving/model.onnx" not in made.mlflow.files, 20, 0.05)
    assert not stored
    made.mlflow.free = 63_000_000
    thread.join(20)
    assert stored and len(told) == 1 and "there is room again" in said[-1]


def test_a_disk_that_runs_full_meanwhile_is_waited_for_and_another_failure_is_not(made: Release) -> None:
    made.mlflow.free = 63_000_000
    tries: list[int] = []

    def store() -> str:
        tries.append(1)
        if len(tries) == 1:
            made.mlflow.free = 0
            threading.Timer(0.3, setattr, (made.mlflow, "free", 63_000_000)).start()
            raise MlflowException("507")
        return "stored"

    said: list[str] = []
    assert room.for_artifacts(made.settings, lambda **fields: said.append(fields["message"]), NEEDED, store) == "stored"
    assert len(tries) == 2 and "is full" in said[0]

    def fail() -> None:
        raise MlflowException("something else")

    with pytest.raises(MlflowException, match="something else"):
        room.for_artifacts(made.settings, lambda **fields: None, NEEDED, fail)


def test_a_tracking_server_that_does_not_tell_is_not_asked_twice(made: Release) -> None:
    made.mlflow.free = None
    assert room.for_artifacts(made.settings, lambda **fields: None, NEEDED, lambda: "stored") == "stored"


def test_no_job_begins_on_a_full_disk_of_its_own(made: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([Room(1, 100, 99), Room(1, 100, 99), Room(2**40, 2**41, 0)])
    monkeypatch.setattr(space, "state", lambda settings: next(free))
    said: list[str] = []
    room.to_begin(made.settings, lambda **fields: said.append(fields["message"]))
    assert "STATE_DIR" in said[0] and "room again" in said[-1]
