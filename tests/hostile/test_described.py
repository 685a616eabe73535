"""schemathesis, all checks: what the descriptions say is what the services do."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.hostile import tally
from tests.hostile.conftest import ENVIRONMENT, TOKEN, program

EXAMPLES = max(15, tally.CASES // 100)


def described(kind: str, url: str, folder: Path, *options: str) -> None:
    """Runs schemathesis on the description at `url`, and notes how many requests it made."""
    start = time.monotonic()
    command = [program("st"), "run", f"{url}/openapi.json", "--checks", "all", "--continue-on-failure"]
    command += [
        "--max-examples",
        str(EXAMPLES),
        "--phases",
        "examples,coverage,fuzzing",
        "--generation-database",
        "none",
    ]
    done = subprocess.run(
        [*command, "--request-timeout", "25", *options],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=1500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    made = re.search(r"(\d+) generated", done.stdout)
    assert made, done.stdout[-3000:]
    tally.note(kind, 200, 0, f"{time.monotonic() - start:.0f} s", times=int(made[1]))


@pytest.mark.timeout(1600)
def test_the_model_endpoint_is_what_it_says(door: str, tmp_path: Path) -> None:
    described("model endpoint's openapi.json", door, tmp_path)


@pytest.mark.timeout(1600)
def test_the_training_endpoint_is_what_it_says_to_strangers(training_door: str, tmp_path: Path) -> None:
    described("training endpoint's, without the token", training_door, tmp_path, "--exclude-path", "/ready")


@pytest.mark.timeout(1600)
def test_the_training_endpoint_is_what_it_says_to_the_platform(training_door: str, tmp_path: Path) -> None:
    """Jobs are queued and cancelled; what needs MLflow, a fleet or a queue is asked without it alone."""
    inside = ["--exclude-path-regex", "^/(ready|datasets|promote|rollback|unpin|labelling/import)$"]
    token = ["-H", f"Authorization: Bearer {TOKEN}"]
    described("training endpoint's, with the token", training_door, tmp_path, *inside, *token)
