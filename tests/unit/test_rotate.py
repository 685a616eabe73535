"""`sh launch.sh rotate`: new secrets in .env, and nothing else of it changed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from launch import dotenv

ROOT = Path(__file__).parents[2]
MINE = (
    "# mine\n\nexport PLATFORM_TOKEN='an old, # quoted' # its comment\r\nA = \"two\nlines\" # PLATFORM_TOKEN=no\n"
    "MLFLOW_PASSWORD : old  \nB=${A}x\nPLATFORM_TOKEN=again\nLAST=ä"
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "launch", tmp_path / "launch")
    shutil.copy(ROOT / ".env.example", tmp_path)
    (tmp_path / ".env").write_bytes(MINE.encode())
    return tmp_path


def run(clone: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    sources = "".join(f". launch/{name}.sh; " for name in ("words", "settings", "checks", "identity", "rotate"))
    command = ["sh", "-euc", f"{sources} mode=native; up() {{ echo launched; }}; {script}"]
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_every_secret_is_new_and_all_else_is_as_it_was(clone: Path) -> None:
    assert run(clone, "make_env").returncode == 0
    before = dotenv.read(clone / ".env")
    done = run(clone, "rotate")
    assert done.returncode == 0 and done.stdout.endswith("launched\n"), done.stderr
    after = dotenv.read(clone / ".env")
    names = re.findall(r"^([A-Z_]+)=$", (ROOT / ".env.example").read_text().split("# --- Secrets")[1], re.MULTILINE)
    assert {name for name in before if after[name] != before[name]} == set(names) - {"PLATFORM_ID"}
    assert after["AIRFLOW_FERNET_KEY"].endswith("," + before["AIRFLOW_FERNET_KEY"])  # else Airflow could read nothing
    wanted = MINE.replace("PLATFORM_TOKEN=again", f"PLATFORM_TOKEN={after['PLATFORM_TOKEN']}")
    wanted = wanted.replace("PLATFORM_TOKEN='an old, # quoted'", f"PLATFORM_TOKEN={after['PLATFORM_TOKEN']}")
    wanted = wanted.replace("MLFLOW_PASSWORD : old", f"MLFLOW_PASSWORD={after['MLFLOW_PASSWORD']}")
    assert (clone / ".env").read_bytes().decode().startswith(wanted + "\n")
    assert (clone / ".env").stat().st_mode & 0o777 == 0o600
    again = run(clone, "rotate AIRFLOW_FERNET_KEY")
    assert again.returncode == 0
    keys = dotenv.read(clone / ".env")["AIRFLOW_FERNET_KEY"].split(",")
    assert len(keys) == 2 and keys[1] == after["AIRFLOW_FERNET_KEY"].split(",")[0]


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        ("NGINX_PORT", {}, "no secret"),
        ("PLATFORM_ID", {}, "no secret"),
        ("PLATFORM_TOKEN", {"PLATFORM_TOKEN": "the shell's"}, "set in this shell"),
    ],
)
def test_what_would_be_wrong_is_refused(clone: Path, words: str, variables: dict[str, str], said: str) -> None:
    assert run(clone, "make_env").returncode == 0
    before = (clone / ".env").read_bytes()
    done = run(clone, f"rotate {words}", **variables)
    assert done.returncode == 1 and said in done.stderr and "launched" not in done.stdout
    assert (clone / ".env").read_bytes() == before


@pytest.mark.parametrize(
    ("setting", "said"),
    [("MLFLOW_PASSWORD=short", "MLFLOW_PASSWORD in .env is too short"), ("AIRFLOW_FERNET_KEY=secret", "is not a key")],
)
def test_what_a_service_would_refuse_is_refused_before_it_starts(clone: Path, setting: str, said: str) -> None:
    assert run(clone, "make_env").returncode == 0
    assert run(clone, "check_passwords").returncode == 1  # MINE has a short one too
    with (clone / ".env").open("a") as env:
        env.write("MLFLOW_PASSWORD=long enough by far\n")
    assert run(clone, "check_passwords").returncode == 0
    with (clone / ".env").open("a") as env:
        env.write(f"{setting}\n")
    done = run(clone, "check_passwords")
    assert done.returncode == 1 and said in done.stderr and "rotate" in done.stderr
