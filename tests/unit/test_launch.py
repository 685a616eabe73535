"""launch.sh's shell functions, with a docker that prints what it is asked."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = """#!/bin/sh
case $1 in
  info) printf '%s' "$RUNTIMES" ;;
  *) printf '%s\\n' "$*" "$NGINX_CERTIFICATE $NGINX_KEY" ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder like a clone, with no .env yet."""
    for name in ("launch", "nginx", "model_endpoint", "training_endpoint", "db"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    return tmp_path


def run(clone: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    sources = "".join(f". launch/{name}.sh; " for name in ("words", "settings", "checks", "containers", "first_run"))
    environment = {"PATH": f"{clone}:{os.environ['PATH']}", **variables}
    command = ["sh", "-euc", f"{sources}{script}"]
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False, timeout=20)


def test_without_a_gpu_and_a_certificate_no_override_is_added(clone: Path) -> None:
    for project in ("nginx", "model_endpoint", "training_endpoint"):
        done = run(clone, f"compose {project} up", RUNTIMES='{"runc":{}}')
        assert done.stdout.split("\n")[0].endswith(f"-f {project}/compose.yaml up"), done.stderr
    assert run(clone, "door_scheme").stdout == "http\n"


@pytest.mark.parametrize("project", ["model_endpoint", "training_endpoint"])
def test_a_gpu_is_given_to_those_who_can_use_it(clone: Path, project: str) -> None:
    said = run(clone, f"compose {project} up", RUNTIMES='{"nvidia":{}}').stdout
    assert f"-f {project}/compose.yaml -f {project}/compose.gpu.yaml up" in said
    assert "compose.gpu" not in run(clone, "compose db up", RUNTIMES='{"nvidia":{}}').stdout


def test_a_certificate_makes_the_door_speak_https(clone: Path) -> None:
    for name in ("certificate.pem", "key.pem"):
        (clone / name).touch()
    (clone / ".env").write_text(f"NGINX_CERTIFICATE=./certificate.pem\nNGINX_KEY={clone}/key.pem\n")
    done = run(clone, "resolve_paths; compose nginx up; door_scheme")
    assert "-f nginx/compose.yaml -f nginx/compose.tls.yaml up\n" in done.stdout, done.stderr
    assert f"{clone}/certificate.pem {clone}/key.pem\nhttps\n" in done.stdout


def test_a_dataset_and_a_model_of_this_machine_are_mounted(clone: Path) -> None:
    (clone / "my reviews.csv").touch()
    (clone / "model").mkdir()
    (clone / ".env").write_text("DATASET=my reviews.csv\nBASE_MODEL=model\n")
    done = run(clone, 'resolve_paths; compose training_endpoint up; echo "$DATASET, $BASE_MODEL"')
    for name in ("dataset", "base_model"):
        assert f"-f training_endpoint/compose.{name}.yaml" in done.stdout, done.stderr
    assert f"{clone}/my reviews.csv, {clone}/model" in done.stdout
    (clone / ".env").write_text("DATASET=stanfordnlp/imdb\nBASE_MODEL=embedded\n")
    done = run(clone, "resolve_paths; compose training_endpoint up")
    assert "-f training_endpoint/compose.yaml up" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("NGINX_CERTIFICATE=a.pem\n", "NGINX_KEY is not set"),
        ("NGINX_KEY=a.pem\n", "NGINX_CERTIFICATE is not set"),
        ("NGINX_CERTIFICATE=a.pem\nNGINX_KEY=b.pem\n", "NGINX_KEY in .env is b.pem: there is no such file"),
    ],
)
def test_half_a_certificate_is_refused_before_anything_starts(clone: Path, settings: str, said: str) -> None:
    (clone / ".env").write_text(settings)
    (clone / "a.pem").touch()
    done = run(clone, "check_certificate")
    assert done.returncode == 1 and said in done.stderr
