"""The process list made from the real compose files."""

import os
import re
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from launch import dotenv
from native import layout, nginx, supervision
from native.layout import ROOT, Layout, nginx_program
from native.processes import Process, processes

INNER = {"relay": 21, "scheduler-health": 22, "model-endpoint-1": 25}


@pytest.fixture
def here() -> Layout:
    example = {name: value or "secret" for name, value in dotenv.read(ROOT / ".env.example").items()}
    example |= {"NGINX_CERTIFICATE": "", "NGINX_KEY": ""}
    return Layout(example, {**INNER, "model-endpoint-2": 26}, nginx_program() or "/usr/sbin/nginx")


def by_name(here: Layout) -> dict[str, Process]:
    return {process.name: process for process in processes(here)}


def test_every_service_has_a_process(here: Layout) -> None:
    services = {"training-endpoint", "training-trigger", "tracking-server", "nginx", "airflow-scheduler"}
    assert services | {"model-endpoint-1", "model-endpoint-2"} <= set(by_name(here))


def test_no_address_of_the_containers_network_is_left(here: Layout) -> None:
    names = "|".join(name.split(":")[0] for name in here.addresses)
    for process in processes(here):
        for variable, value in process.environment.items():
            assert not re.search(rf"\b({names}):\d", value), f"{process.name}: {variable}={value}"


def test_no_folder_of_a_container_is_left(here: Layout) -> None:
    for process in processes(here):
        for variable, value in process.environment.items():
            assert not re.match(r"/(state|cache|artifacts|airflow|app)\b", value), f"{process.name}: {variable}={value}"


def test_without_nginx_the_model_endpoint_takes_its_port(here: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "nginx_program", lambda: None)
    monkeypatch.setattr(os, "environ", {**here.settings, "NGINX_PORT": "8123"})
    found = by_name(Layout.load())
    assert "nginx" not in found
    assert "model-endpoint-2" not in found
    assert found["model-endpoint-1"].environment["MODEL_ENDPOINT_PORT"] == "8123"


def test_nothing_but_the_doors_listens_beyond_this_machine(here: Layout) -> None:
    opened = Layout({**here.settings, "BIND_ADDRESS": "0.0.0.0"}, here.inner, here.nginx)
    for process in processes(opened):
        if process.name == "watch":  # which knows all settings, and listens nowhere
            continue
        # By the public door's address the console knows whether people log in.
        told = {name: value for name, value in process.environment.items() if name != "BIND_ADDRESS"}
        said = {process.name: [*process.command, *told.values()]}
        assert not re.search(r"(?<![\d.])0\.0\.0\.0|::", str(said)), said
    found = by_name(opened)
    assert (
        found["airflow-scheduler"].environment["AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST"] == "127.0.0.1"
    )
    for name in ("airflow-scheduler", "airflow-triggerer"):  # their doors for logs know no address
        assert "--skip-serve-logs" in found[name].command


def test_nginx_accepts_its_configuration(here: Layout, tmp_path: Path) -> None:
    if not Path(here.nginx or "").exists():
        pytest.skip("nginx is not installed here")
    text = nginx.configuration(here)
    assert "127.0.0.1:25 max_conns=64" in text
    assert "127.0.0.1:26 max_conns=64" in text
    assert f"set $console 127.0.0.1:{here.port('TRAINING_PORT')};" in text
    (tmp_path / "nginx.conf").write_text(text)
    test = [str(here.nginx), "-t", "-e", "stderr", "-p", f"{tmp_path}/", "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(test, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_log_is_turned_over(here: Layout) -> None:
    written = ConfigParser(interpolation=None)
    written.read_string(supervision._configuration(processes(here)))
    for name in written.sections():
        if name.startswith(("program:", "supervisord")):
            kind = "stdout_logfile" if name.startswith("program:") else "logfile"
            assert written[name][f"{kind}_maxbytes"] == "10MB" and int(written[name][f"{kind}_backups"]) <= 3, name
