"""Taking the platform down and bringing it back; comes last, since the other tests need it up."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from launch import dotenv
from tests.e2e.platform import Platform
from tests.services import ROOT

pytestmark = pytest.mark.timeout(900)

FILM = "What a wonderful film"


def secrets() -> list[str]:
    text = (ROOT / ".env.example").read_text().split("# --- Secrets")[1]
    names = re.findall(r"^([A-Z_]+)=$", text, re.MULTILINE)
    return [name for name in names if name not in ("PLATFORM_ID", "AIRFLOW_FERNET_KEY")]


def known(platform: Platform) -> tuple[Any, str]:
    """What users and operators see: an answer with its scores and version, and who decided what when."""
    return platform.predict(FILM)[0], platform.launch("history", "--verify")


def test_the_doctor_finds_no_problem(platform: Platform) -> None:
    said = platform.launch("doctor")
    assert "0 problems" in said and re.search(r"replicas +2 of 2 answer, version \d+\n", said)


def test_every_secret_is_changed_by_editing_env_while_it_is_down(platform: Platform) -> None:
    before, history = known(platform)
    platform.launch("down")
    doctor = platform.run("sh", "launch.sh", "doctor")
    assert doctor.returncode == 1 and "does not answer" in doctor.stdout
    with (platform.folder / ".env").open("a") as env:
        env.writelines(f"{name}='new: p@ss/w%rd #? {name}'\n" for name in secrets())
    said = platform.launch()
    assert "Training the first Champion" not in said
    after, kept = known(platform)
    assert json.dumps(after, sort_keys=True) == json.dumps(before, sort_keys=True)
    assert kept == history
    assert platform.ask("TRAINING_PORT", "/train/none", "DELETE", Authorization="Bearer wrong") == 401
    token = f"Bearer new: p@ss/w%rd #? {'PLATFORM_TOKEN'}"
    assert platform.ask("TRAINING_PORT", "/train/none", "DELETE", Authorization=token) == 404


def test_a_backup_brings_all_of_it_back_with_or_without_containers(platform: Platform, backups: dict[str, Any]) -> None:
    file = platform.folder.parent / "platform.backup"
    backups[platform.mode] = (file, *known(platform))
    platform.launch("backup", str(file))
    refused = platform.run("sh", "launch.sh", "restore", str(file))
    assert refused.returncode == 1 and "--yes" in refused.stdout
    platform.launch("down", "--volumes", "--yes")
    if platform.mode == "docker":
        assert platform.leftovers() == []
    else:
        assert not (platform.folder / ".platform/data").exists()
    (platform.folder / ".env").unlink()
    # Where both ways of running are tested, the second goes on with what the first one kept.
    file, before, history = next(iter(backups.values()))
    said = platform.launch("restore", str(file))
    assert "Training the first Champion" not in said
    after, kept = known(platform)
    assert json.dumps(after, sort_keys=True) == json.dumps(before, sort_keys=True)
    assert kept == history
    assert dotenv.read(platform.folder / ".env")["NGINX_PORT"] == str(platform.ports["NGINX_PORT"])


@pytest.fixture(scope="module")
def backups() -> dict[str, tuple[Path, Any, str]]:
    """Of each way of running: the file, and what was known when it was taken."""
    return {}


def test_down_with_volumes_leaves_nothing(platform: Platform) -> None:
    platform.launch("down", "--volumes", "--yes")
    if platform.mode == "docker":
        assert platform.leftovers() == []
    else:
        assert not (platform.folder / ".platform/data").exists()
