"""What the installer says and does without installing anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services import ROOT


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "a tree"
    for folder in ("native", "requirements"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def run(tree: Path, script: str, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"PATH": path} if path else {})}
    command = ["/bin/sh", str(tree / "native" / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def programs(folder: Path, **scripts: str) -> str:
    """A PATH with the few programs that the installer uses, and with `scripts`."""
    folder.mkdir()
    for name in ("sh", "sed", "cat", "mkdir", "sha256sum", "cut", "rm", "dirname", "env"):
        (folder / name).symlink_to(shutil.which(name) or "")
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_an_unknown_environment_is_refused(tree: Path) -> None:
    done = run(tree, "environments.sh", "prod")
    assert done.returncode == 1
    assert "there are native, dev and airflow" in done.stderr


def test_a_machine_without_python_is_told_what_is_missing(tree: Path, tmp_path: Path) -> None:
    done = run(tree, "environments.sh", "native", path=programs(tmp_path / "bin", python3="exit 1"))
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr


def test_a_python_without_venv_is_told_which_package_helps(tree: Path, tmp_path: Path) -> None:
    broken = 'case "$2" in *ensurepip*) exit 1 ;; esac'
    done = run(tree, "environments.sh", "native", path=programs(tmp_path / "bin", python3=broken))
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr


@pytest.mark.parametrize("command", ["status", "logs", "down"])
def test_a_folder_that_never_launched_says_so(tree: Path, command: str) -> None:
    done = run(tree, "platform.sh", command)
    assert done.returncode == 1
    assert "sh launch.sh" in done.stderr
