"""How .env is read: as Compose reads it, from the shell and from Python alike."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from launch import dotenv

ROOT = Path(__file__).parents[2]
GIVEN = {**os.environ, "FROM_ENVIRONMENT": "given"}
CASES = {
    'A="my data.csv"\n': {"A": "my data.csv"},
    "A=8123\r\nB=1\r\n": {"A": "8123", "B": "1"},
    "A = 8123\n": {"A": "8123"},
    "A=x # words\nB=2": {"A": "x", "B": "2"},
    "A=x#y\n": {"A": "x#y"},
    "A= # words\n": {"A": "# words"},  # a comment wants a value before it
    "A='x # y'  # words\nB=2\n": {"A": "x # y", "B": "2"},
    "# A=1\n\n   B=1\n": {"B": "1"},
    "export A=1\n": {"A": "1"},
    "A: 5\n": {"A": "5"},
    "A=\n": {"A": ""},
    "A=1\nA=2\n": {"A": "2"},
    "B=1\nA=$B$B-${B}\n": {"A": "11-1", "B": "1"},
    "A=${B:-a b}${C:+no}\n": {"A": "a b"},
    "B=1\nA=${B:+${B}2}${C:-${D:-e}}\n": {"A": "12e", "B": "1"},
    "A=pa$$word\n": {"A": "pa$word"},
    "A='pa$word'\n": {"A": "pa$word"},
    'A="pa\\$word"\n': {"A": "pa$word"},
    "A=$FROM_ENVIRONMENT\n": {"A": "given"},
    "A='it\\'s'\n": {"A": "it's"},
    'A="a\\nb\\"c\\\\d"\n': {"A": 'a\nb"c\\d'},
    'A="two\nlines"\nB=2\n': {"A": "two\nlines", "B": "2"},
    "A=back\\slash\n": {"A": "back\\slash"},
    "A=  both ends  \n": {"A": "both ends"},
    "A=a=b=c\n": {"A": "a=b=c"},
    "MY_2ND_NAME=x\nA=1": {"MY_2ND_NAME": "x", "A": "1"},
    "A=ä ö 人\n": {"A": "ä ö 人"},
    "\ufeffA=1\n": {"A": "1"},
    "A=\u00a0x y\u00a0\n": {"A": "x y"},
    "A=http://x:1/?a=b&c=`d`\n": {"A": "http://x:1/?a=b&c=`d`"},
}
REFUSED = ["=1\n", " : x\n", "A B=1\n", 'A="x\n', "A!=1\n", "A=${B\n", "A=${}\n", "A=${B:?why}\n"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Like a clone without a .env."""
    shutil.copytree(ROOT / "launch", tmp_path / "launch")
    shutil.copy(ROOT / ".env.example", tmp_path)
    return tmp_path


def shell(folder: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-euc", f". launch/words.sh; . launch/settings.sh; {script}"]
    environment = {"PATH": os.environ["PATH"], "FROM_ENVIRONMENT": "given", **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def compose(file: Path, names: list[str]) -> dict[str, str] | None:
    """What Compose makes of `names`; None where it refuses the file."""
    project = file.with_name("compose.yaml")
    variables = "".join(f'      {name}: "${{{name}}}"\n' for name in names)
    project.write_text(f"services:\n  one:\n    image: none\n    environment:\n{variables}")
    command = ["docker", "compose", "--env-file", str(file), "-f", str(project), "config", "--format", "json"]
    done = subprocess.run(command, env=GIVEN, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    found = json.loads(done.stdout)["services"]["one"]["environment"]
    return {name: value.replace("$$", "$") for name, value in found.items()}


@pytest.mark.parametrize("text", CASES, ids=repr)
def test_it_is_read_as_compose_reads_it(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_ENVIRONMENT", "given")
    file = folder / ".env"
    file.write_bytes(text.encode())
    wanted = CASES[text]
    assert dotenv.read(file) == wanted
    for name, value in wanted.items():
        assert shell(folder, f"check_env; setting {name}").stdout == value
    if shutil.which("docker"):
        assert compose(file, list(wanted)) == wanted


@pytest.mark.parametrize("text", REFUSED, ids=repr)
def test_what_compose_refuses_is_refused_with_its_line(folder: Path, text: str) -> None:
    file = folder / ".env"
    file.write_text(f"GOOD=1\n{text}")
    with pytest.raises(ValueError, match=r"line 2 of .*\.env"):
        dotenv.read(file)
    refused = shell(folder, "check_env; echo went on")
    assert refused.returncode == 1 and "line 2 of .env" in refused.stderr and "went on" not in refused.stdout
    if shutil.which("docker"):
        assert compose(file, ["GOOD"]) is None


@pytest.mark.parametrize(
    "text",
    [
        *CASES,
        "NGINX_PORT = 8123\r\nMY_2ND_NAME=x\r\n",
        "PLATFORM_TOKEN=\nlower_case=1",
        'PLATFORM_TOKEN="  mine # own "\n# the end',
        "AIRFLOW_PORT=1\nAIRFLOW_PORT=2\n",
    ],
    ids=repr,
)
def test_a_launch_changes_no_byte_of_it(folder: Path, text: str) -> None:
    file = folder / ".env"
    file.write_bytes(text.encode())
    before = dotenv.read(file)
    assert shell(folder, "make_env").returncode == 0
    once = file.read_bytes()
    assert once.startswith(text.encode())
    after = dotenv.read(file)
    assert {name: after[name] for name in before if before[name]} == {n: v for n, v in before.items() if v}
    assert len(after["PLATFORM_TOKEN"]) >= 13
    assert shell(folder, "make_env").returncode == 0
    assert file.read_bytes() == once


def test_the_first_launch_makes_it_with_secrets_for_its_owner_alone(folder: Path) -> None:
    made = shell(folder, "make_env", AIRFLOW_PASSWORD='it\'s $a "b" #c \\', NGINX_PORT="8123")
    assert made.returncode == 0, made.stderr
    file = folder / ".env"
    found = dotenv.read(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert (found["AIRFLOW_PASSWORD"], found["NGINX_PORT"]) == ('it\'s $a "b" #c \\', "8123")
    text = (ROOT / ".env.example").read_text().split("# --- Secrets")[1]
    secrets = [line.split("=")[0] for line in text.splitlines() if line.endswith("=")]
    assert len(secrets) >= 10 and len({found[name] for name in secrets}) == len(secrets)
    if shutil.which("docker"):
        assert compose(file, list(found)) == found


def test_what_is_set_but_empty_means_the_default(folder: Path) -> None:
    (folder / ".env").write_text("NGINX_PORT=\nAIRFLOW_PORT=1\n")
    assert shell(folder, "setting NGINX_PORT; setting AIRFLOW_PORT", AIRFLOW_PORT="2").stdout == "80002"
    found = dotenv.settings(folder)
    assert (found["NGINX_PORT"], found["AIRFLOW_PORT"]) == ("8000", "1")


def test_the_training_endpoints_own_file_is_read_where_there_is_one(folder: Path) -> None:
    (folder / "training_endpoint").mkdir()
    (folder / "training_endpoint/.env").write_text("SLACK_URL=https://one\nHUGGINGFACE_TOKEN=hf_1\nNGINX_PORT=1\n")
    shell(folder, "make_env")
    script = 'resolve_settings; echo "$SLACK_URL $HUGGINGFACE_TOKEN $(setting NGINX_PORT)"'
    assert shell(folder, script).stdout == "https://one hf_1 8000\n"
    assert dotenv.settings(folder)["SLACK_URL"] == "https://one"
    (folder / ".env").write_text("SLACK_URL=https://two\n")
    assert shell(folder, script).stdout == "https://two hf_1 8000\n"
    assert dotenv.settings(folder)["SLACK_URL"] == "https://two"


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_a_value_that_a_launch_writes_is_the_value_that_both_read(folder: Path, value: str) -> None:
    said = shell(folder, 'quoted "$GIVEN_VALUE"', GIVEN_VALUE=value)
    (folder / ".env").write_text(f"A={said.stdout}\nB=2\n")
    assert dotenv.read(folder / ".env") == {"A": value, "B": "2"}
    assert shell(folder, "from_file A .env").stdout.removesuffix("\n") == value
