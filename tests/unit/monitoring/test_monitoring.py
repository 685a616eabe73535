"""The project monitoring/: Prometheus takes its files, each alert fires when it should, --with starts it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped] # no stubs are locked

ROOT = Path(__file__).parents[3]
ALERTS = yaml.safe_load((ROOT / "monitoring/prometheus/alerts.yaml").read_text())
NAMES = [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]]
DOCKER = """#!/bin/sh
case "$*" in
  info*) ;;
  ps*monitoring*) echo "$RUNS" ;;
  volume*monitoring*) echo "$KEPT" ;;
  compose*) echo "$*" >>asked ;;
esac
"""


def promtool(*arguments: str) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool on this machine (Debian: apt-get install prometheus)")
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_files() -> None:
    promtool("check", "config", "--syntax-only", "monitoring/prometheus/prometheus.yaml")  # its token is elsewhere


def test_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", str(Path(__file__).with_name("alerts.yaml")))


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_is_played_and_explained(name: str) -> None:
    played = Path(__file__).with_name("alerts.yaml").read_text()
    assert f'alertname="{name}"' in played
    assert re.search(rf"\b{name}\b", (ROOT / "docs/monitoring.md").read_text())


def test_the_dashboard_asks_the_datasource_that_is_provisioned() -> None:
    folder = ROOT / "monitoring/grafana"
    (source,) = yaml.safe_load((folder / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    board = json.loads((folder / "dashboards/platform.json").read_text())
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
    services = yaml.safe_load((ROOT / "monitoring/compose.yaml").read_text())["services"]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in services


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder like a clone, with a docker that notes what it is asked."""
    for path in (*ROOT.glob("*/compose.yaml"), ROOT / "launch/words.sh"):
        (tmp_path / path.parent.name).symlink_to(path.parent)
    for name in ("launch.sh", ".env.example"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    return tmp_path


def launch(clone: Path, *words: str, mode: str = "docker", **variables: str) -> subprocess.CompletedProcess[str]:
    (clone / ".platform").mkdir(exist_ok=True)
    (clone / ".platform/mode").write_text(mode)
    (clone / ".env").write_text("PLATFORM_ID=abc\n")
    environment = {"PATH": f"{clone}:{os.environ['PATH']}", **variables}
    script = ["sh", "./launch.sh", *words]
    return subprocess.run(script, cwd=clone, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("command", "variables", "expected"),
    [
        ("logs", {}, False),
        ("logs", {"RUNS": "id"}, True),
        ("logs", {"KEPT": "volume"}, False),
        ("down", {}, False),
        ("down", {"RUNS": "id"}, True),
        ("down", {"KEPT": "volume"}, True),
    ],
)
def test_commands_include_it_where_it_runs(
    clone: Path, command: str, variables: dict[str, str], expected: bool
) -> None:
    done = launch(clone, command, **variables)
    assert done.returncode == 0, done.stderr
    asked = (clone / "asked").read_text()
    assert "nginx/compose.yaml" in asked and ("monitoring/compose.yaml" in asked) == expected


def test_what_cannot_be_started_beside_the_rest_is_said(clone: Path) -> None:
    said = launch(clone, "--with", "zabbix").stderr
    assert "there is no zabbix to start beside the others" in said and "--with monitoring" in said
    assert "monitoring runs in containers" in launch(clone, "--with", "monitoring", mode="native").stderr
    assert "a launch does not know --with" in launch(clone, "up", "--with", "monitoring").stderr


@pytest.mark.parametrize("word", ["", "monitoring"])
def test_its_ports_are_looked_at_where_it_is_launched(clone: Path, word: str) -> None:
    sources = "".join(f". launch/{name}.sh; " for name in ("words", "settings", "checks", "containers"))
    done = subprocess.run(
        ["sh", "-euc", f"{sources} add_monitoring '{word}' up; ports"],
        cwd=clone, env={"PATH": f"{clone}:{os.environ['PATH']}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ("GRAFANA_PORT PROMETHEUS_PORT" in done.stdout) == bool(word)


def test_grafana_is_not_opened_to_others_with_a_short_password(clone: Path) -> None:
    sources = "".join(f". launch/{name}.sh; " for name in ("words", "settings", "checks", "containers"))
    script = f'{sources} refuse_door() {{ echo "$*"; exit 1; }}; check_doors'
    done = subprocess.run(
        ["sh", "-euc", script], cwd=clone, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "GRAFANA_BIND_ADDRESS": "0.0.0.0", "GRAFANA_PASSWORD": "short"},
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout.startswith("GRAFANA_BIND_ADDRESS Grafana"), done.stdout + done.stderr


def test_what_it_has_mounted_is_the_new_token_after_a_rotation(clone: Path) -> None:
    file = clone / ".platform/secrets/PLATFORM_TOKEN"
    file.parent.parent.mkdir()

    def write(token: str) -> None:
        (clone / ".env").write_text(f"PLATFORM_TOKEN='{token}'\n")
        sources = "".join(f". launch/{name}.sh; " for name in ("words", "settings", "containers"))
        command = ["sh", "-euc", f"{sources} write_secrets"]
        subprocess.run(command, cwd=clone, env={"PATH": os.environ["PATH"]}, check=True)
        assert file.stat().st_mode & 0o777 == 0o444 and file.parent.stat().st_mode & 0o777 == 0o700

    write("the first")
    with file.open() as mounted:  # stays the same file, as one does that a container has mounted
        write("another")
        assert mounted.read() == "another"
