"""launch.sh's shell functions, with a docker that prints what it is asked."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped] # no stubs are locked

ROOT = Path(__file__).parents[2]
DOCKER = """#!/bin/sh
case $1 in
  info) printf '%s' "$RUNTIMES" ;;
  volume) ;;
  *) printf '%s\\n' "$*" "$NGINX_CERTIFICATE $NGINX_KEY"; [ -z "$SHOW" ] || printenv "$SHOW" ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder like a clone, with no .env yet."""
    for name in ("launch", "nginx", "model_endpoint", "training_endpoint", "db"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".env.example").symlink_to(ROOT / ".env.example")
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    return tmp_path


def run(clone: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    sources = "".join(
        f". launch/{name}.sh; "
        for name in ("words", "settings", "tokens", "checks", "containers", "door", "replicas", "first_run")
    )
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


def door(clone: Path) -> dict[str, str]:
    """What nginx is told, after `launch.sh` has written it."""
    done = run(clone, "resolve_settings; write_door")
    assert done.returncode == 0, done.stderr
    told = (clone / ".platform/secrets/door/settings").read_text()
    return dict(line.split("=", 1) for line in told.splitlines())


def test_the_doors_settings_stand_in_a_file_that_a_reload_reads(clone: Path) -> None:
    (clone / ".env").write_text('NGINX_RATE=7r/m\nMODEL_MAX_REQUESTS=9\nMODEL_CORS_ORIGINS="https://a.example, *"\n')
    told = door(clone)
    assert told["NGINX_LISTEN"].startswith("listen 80; ")
    assert (told["NGINX_RATE"], told["NGINX_MAX_BODY"]) == ("7r/m", "4m")
    assert told["NGINX_CORS_ORIGINS"] == "https://a.example, *"
    assert " max_conns=9 " in told["NGINX_UPSTREAM_SERVERS"] and "$" not in "".join(told.values())
    wanted = set(re.findall(r"\$\{(NGINX_\w+)\}", (ROOT / "nginx/templates/default.conf.template").read_text()))
    assert wanted == set(told)
    file = yaml.safe_load((ROOT / "nginx/compose.yaml").read_text())["services"]["nginx"]
    assert not wanted & set(file["environment"]), "a changed setting would start nginx anew"


def test_a_certificate_makes_the_door_speak_https_and_a_renewed_one_is_another_file(clone: Path) -> None:
    for name in ("certificate.pem", "key.pem"):
        (clone / name).write_text(name)
    (clone / ".env").write_text(f"NGINX_CERTIFICATE=./certificate.pem\nNGINX_KEY={clone}/key.pem\n")
    folder = clone / ".platform/secrets/door"
    first = door(clone)["NGINX_LISTEN"]
    assert first.startswith("listen 80 ssl; ") and run(clone, "door_scheme").stdout == "https\n"
    named = re.findall(r"/door/(\S+\.pem);", first)
    assert [(folder / name).read_text() for name in named] == ["certificate.pem", "key.pem"]
    assert (clone / ".platform/secrets").stat().st_mode & 0o77 == 0, "others can read the key"
    assert door(clone)["NGINX_LISTEN"] == first
    (clone / "certificate.pem").write_text("renewed")
    second = door(clone)["NGINX_LISTEN"]
    assert second != first
    assert run(clone, "reload_nginx").returncode == 0
    assert {path.name for path in folder.glob("*.pem")} == set(re.findall(r"/door/(\S+\.pem);", second))


def test_a_dataset_and_a_model_of_this_machine_are_mounted(clone: Path) -> None:
    (clone / "my reviews.csv").touch()
    (clone / "model").mkdir()
    (clone / ".env").write_text("DATASET=my reviews.csv\nBASE_MODEL=model\n")
    done = run(clone, 'resolve_settings; compose training_endpoint up; echo "$DATASET, $BASE_MODEL"')
    for name in ("dataset", "base_model"):
        assert f"-f training_endpoint/compose.{name}.yaml" in done.stdout, done.stderr
    assert f"{clone}/my reviews.csv, {clone}/model" in done.stdout
    (clone / ".env").write_text("DATASET=stanfordnlp/imdb\nBASE_MODEL=embedded\n")
    done = run(clone, "resolve_settings; compose training_endpoint up")
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


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("AIRFLOW_BIND_ADDRESS=0.0.0.0\n", "opens Airflow to others while its password is admin"),
        ("AIRFLOW_BIND_ADDRESS=192.0.2.1\nAIRFLOW_PASSWORD=admin\n", "opens Airflow"),
        ("MLFLOW_BIND_ADDRESS=0.0.0.0\nMLFLOW_AUTH=off\n", "opens MLflow to others while it asks nobody"),
        ("MLFLOW_BIND_ADDRESS=0.0.0.0\nMLFLOW_PASSWORD=short\n", "opens MLflow to others while its password"),
        ("TRAINING_BIND_ADDRESS=::\nPLATFORM_TOKEN=t\n", "opens the training endpoint"),
        ("BIND_ADDRESS=0.0.0.0\nCONSOLE_PASSWORD=short\n", "opens the console to others while its password"),
        (
            "TRAINING_BIND_ADDRESS=0.0.0.0\nPLATFORM_TOKEN=twelve or more\nCONSOLE_PASSWORD=aaaaaaaaaaaaaa\n",
            "the console",
        ),
        ("DATABASE_BIND_ADDRESS=0.0.0.0\nTRAINING_DATABASE_PASSWORD=\n", "opens the training database"),
        ("DATABASE_BIND_ADDRESS=0.0.0.0\nTRAINING_DATABASE_PASSWORD=aaaaaaaaaaaaaaaa\n", "TRAINING_DATABASE_PASSWORD"),
        (
            "DATABASE_BIND_ADDRESS=192.0.2.1\nTRAINING_DATABASE_PASSWORD=twelve or more\n",
            "TRAINING_SUPERUSER_PASSWORD is empty or short",
        ),
        (
            "DATABASE_BIND_ADDRESS=192.0.2.1\nTRAINING_DATABASE_PASSWORD=twelve or more\n"
            "TRAINING_SUPERUSER_PASSWORD=another of twelve\nSERVING_DATABASE_PASSWORD=short\n",
            "SERVING_DATABASE_PASSWORD is empty or short",
        ),
    ],
)
def test_a_door_is_not_opened_to_others_without_its_secret(clone: Path, settings: str, said: str) -> None:
    (clone / ".env").write_text(settings)
    done = run(clone, "check_doors")
    assert done.returncode == 1 and said in done.stderr and "127.0.0.1" in done.stderr


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "BIND_ADDRESS=0.0.0.0\n",  # the public door; secrets that are not there yet are made
        "BIND_ADDRESS=0.0.0.0\nCONSOLE_PASSWORD=twelve or more\n",
        "AIRFLOW_BIND_ADDRESS=127.0.0.2\nMLFLOW_BIND_ADDRESS=localhost\nMLFLOW_AUTH=off\n",
        "AIRFLOW_BIND_ADDRESS=0.0.0.0\nAIRFLOW_PASSWORD=another\n",
        "MLFLOW_BIND_ADDRESS=0.0.0.0\nMLFLOW_PASSWORD=twelve or more\n",
        "TRAINING_BIND_ADDRESS=0.0.0.0\nPLATFORM_TOKEN=twelve or more\n",
        "DATABASE_BIND_ADDRESS=::\nTRAINING_DATABASE_PASSWORD='@:/#%? [$]'a&=\n"
        "TRAINING_SUPERUSER_PASSWORD=another of twelve\nSERVING_DATABASE_PASSWORD=one more of them\n",
    ],
)
def test_a_door_with_its_secret_may_be_opened(clone: Path, settings: str) -> None:
    (clone / ".env").write_text(settings)
    done = run(clone, "check_doors; echo went on")
    assert done.stdout == "went on\n", done.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("TRAINING_DATABASE_PASSWORD=one for both\nTRAINING_SUPERUSER_PASSWORD=one for both\n", "are the same in .env"),
        (
            "BACKEND_STORE_PASSWORD=one for both\nTRAINING_SUPERUSER_PASSWORD=one for both\n",
            "BACKEND_STORE_PASSWORD and",
        ),
        (
            "SERVING_DATABASE_PASSWORD=one for both\nTRAINING_SUPERUSER_PASSWORD=one for both\n",
            "SERVING_DATABASE_PASSWORD and",
        ),
        ("PLATFORM_TOKEN=ein Schlüssel für alles\n", "PLATFORM_TOKEN in .env has a character"),
        ("MLFLOW_PASSWORD=пароль для людей\n", "MLFLOW_PASSWORD in .env has a character"),
        ("MLFLOW_USER=ada:admin\n", "MLFLOW_USER in .env has a colon"),
    ],
)
def test_a_secret_that_cannot_work_or_gives_too_much_is_refused(clone: Path, settings: str, said: str) -> None:
    (clone / ".env").write_text(settings)
    done = run(clone, "check_doors")
    assert done.returncode == 1 and said in done.stderr


def test_no_secret_stands_in_a_command_line(clone: Path) -> None:
    (clone / ".env").write_text(
        "AIRFLOW_RELAY_PASSWORD=secret of the relay\nAIRFLOW_PASSWORD=of people\nPLATFORM_TOKEN=token\n"
    )
    (clone / "script.py").touch()
    done = run(clone, "mode=docker; with_platform script.py --wait", SHOW="AIRFLOW_PASSWORD")
    command, *_, handed_over = done.stdout.splitlines()
    assert "exec -T" in command and "-e AIRFLOW_PASSWORD " in command, done.stderr
    assert not any(secret in command for secret in ("secret of the relay", "of people", "token"))
    assert handed_over == "secret of the relay"


def test_after_an_update_status_and_down_find_the_secrets_that_are_new(clone: Path) -> None:
    shutil.copy(ROOT / "launch.sh", clone)
    (clone / ".env").write_text("PLATFORM_TOKEN=old\n")
    environment = {"PATH": f"{clone}:{os.environ['PATH']}", "RUNTIMES": "{}"}
    subprocess.run(
        ["sh", "launch.sh", "down"], cwd=clone, env=environment, capture_output=True, check=False, timeout=60
    )
    text = (clone / ".env").read_text()
    assert text.startswith("PLATFORM_TOKEN=old\n") and "\nMLFLOW_PASSWORD=" in text


def test_the_token_before_a_change_is_handed_over_once(clone: Path) -> None:
    script = 'hand_tokens_over; echo "${PLATFORM_TOKEN_BEFORE:-none}"'
    (clone / ".env").write_text("PLATFORM_TOKEN=first\n")
    assert run(clone, script).stdout == "none\n"
    assert run(clone, script).stdout == "none\n"
    (clone / ".env").write_text("PLATFORM_TOKEN=second\n")
    handed = run(clone, script).stdout
    assert handed.startswith("first ") and handed.split()[1].isdigit()
    assert run(clone, script).stdout == handed, "a launch without a change would start everything again"
    for name in ("token", "token-before"):
        assert (clone / ".platform" / name).stat().st_mode & 0o777 == 0o600
