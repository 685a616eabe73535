"""Whose data is here: a launch beside another platform's data says so at once, and deleting touches its own alone."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.platform import docker_names, engine_answers
from tests.integration.launch.clone import Clone
from tests.services import wait_until

PREFIX = "whose_"
DATA = f"{PREFIX}mlflow_server_backend-store-data"


def docker(*words: str, check: bool = True) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=check).stdout.strip()


@pytest.fixture
def engine() -> Iterator[None]:
    """Nothing of this prefix before and after."""
    if not engine_answers():
        pytest.skip("no Docker Engine answers")
    yield
    for name in docker_names("ps", "-a"):
        if name.startswith(PREFIX):
            docker("rm", "-f", name)
    for name in docker_names("volume", "ls"):
        if name.startswith(PREFIX):
            docker("volume", "rm", "-f", name)


def make_data() -> None:
    """A volume as Compose makes it."""
    label = "com.docker.compose"
    docker("volume", "create", "--label", f"{label}.project={PREFIX}mlflow_server",
           "--label", f"{label}.volume=backend-store-data", DATA)  # fmt: skip


def claim(clone: Clone, identity: str) -> None:
    """As a launch does before it builds."""
    script = ". launch/words.sh; . launch/settings.sh; . launch/containers.sh; . launch/identity.sh; mode=docker"
    done = clone.run("sh", "-euc", f"{script}; claim_data", PLATFORM_ID=identity)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("env", [None, "BACKEND_STORE_PASSWORD=x\n", "PLATFORM_ID=mine\n"])
def test_a_launch_beside_anothers_volumes_says_so_before_any_effect(
    engine: None, tmp_path: Path, env: str | None
) -> None:
    first = Clone.at(tmp_path / "first", PROJECT_PREFIX=PREFIX)
    make_data()
    claim(first, "first")
    other = Clone.at(tmp_path / "other", PROJECT_PREFIX=PREFIX)
    if env:
        (other.folder / ".env").write_text(env)
    before, began = other.files(), time.monotonic()
    done = other.launch()
    assert time.monotonic() - began < 30
    assert done.returncode == 1 and "with the id first" in done.stderr, done.stderr
    assert str(first.folder) in done.stderr
    for way in ("put its .env back", "restore FILE", "PROJECT_PREFIX", "PLATFORM_ID=first sh launch.sh down --volumes"):
        assert way in done.stderr
    for words in (["down"], ["down", "--volumes", "--yes"]):
        if env:
            assert other.launch(*words).returncode == 1
    assert other.files() == before
    assert DATA in docker_names("volume", "ls")


def test_deleting_asks_and_takes_its_own_alone(engine: None, tmp_path: Path) -> None:
    clone = Clone.at(tmp_path / "clone", PROJECT_PREFIX=PREFIX)
    (clone.folder / ".env").write_text("PLATFORM_ID=mine\n")
    make_data()
    claim(clone, "mine")
    docker("volume", "create", f"{PREFIX}of_somebody_else")
    refused = clone.launch("down", "--volumes")
    assert refused.returncode == 1 and "--yes" in refused.stderr
    assert DATA in docker_names("volume", "ls")
    done = clone.launch("down", "--volumes", "--yes")
    assert done.returncode == 0, done.stderr
    assert [name for name in docker_names("volume", "ls") if name.startswith(PREFIX)] == [f"{PREFIX}of_somebody_else"]


def test_data_from_before_there_were_ids_is_its_whose_env_opens_it(engine: None, tmp_path: Path) -> None:
    clone = Clone.at(tmp_path / "clone", PROJECT_PREFIX=PREFIX)
    make_data()
    server = f"{PREFIX}old"
    start = [
        "run",
        "--detach",
        "--name",
        server,
        "-v",
        f"{DATA}:/var/lib/postgresql/data",
        "-e",
        "POSTGRES_USER=mlflow",
    ]
    docker(*start, "-e", "POSTGRES_PASSWORD=right", "postgres:17-trixie")
    ready = ["docker", "exec", server, "pg_isready", "--quiet", "--host", "127.0.0.1"]
    wait_until("it is initialised", lambda: subprocess.run(ready, check=False).returncode == 0)
    docker("stop", "--signal", "INT", server)
    script = ". launch/words.sh; . launch/settings.sh; . launch/containers.sh; . launch/identity.sh; mode=docker"
    check = ["sh", "-euc", f"{script}; check_owner"]
    assert "this folder has no .env" in clone.run(*check).stderr
    for password, status in (("wrong", 1), ("right", 0)):
        (clone.folder / ".env").write_text(f"BACKEND_STORE_PASSWORD={password}\n")
        done = clone.run(*check)
        assert done.returncode == status, done.stderr
        assert ("the passwords in .env do not open it" in done.stderr) == bool(status)


def test_without_containers_a_lost_env_is_noticed_before_any_effect(tmp_path: Path) -> None:
    clone = Clone.at(tmp_path / "clone")
    cluster = clone.folder / ".platform/data/postgres/cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("17\n")
    (clone.folder / ".platform/data/platform-id").write_text("mine")
    before = clone.files()
    for env in (None, "PLATFORM_ID=another\n"):
        if env:
            (clone.folder / ".env").write_text(env)
            before |= {".env"}
        done = clone.launch("--native")
        assert done.returncode == 1 and "with the id mine" in done.stderr and "put its .env back" in done.stderr
        assert clone.files() == before
