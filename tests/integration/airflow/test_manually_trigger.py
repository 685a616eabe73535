"""manually_trigger.py as a user runs it, against a real Airflow."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_service import DAG, PASSWORD, USER, Airflow
from tests.integration.airflow.platform_fakes import Answer, Fake, FakeModelEndpoint, FakeTraining
from tests.services import ROOT, free_port

Script = Callable[..., subprocess.CompletedProcess[str]]


class EmptyAirflow(Fake):
    """Lets everybody in and has no DAG."""

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        return (201, {"access_token": "t"}) if path == "/auth/token" else (404, {"detail": "not found"})


@pytest.fixture
def script(airflow_service: Airflow, tmp_path: Path) -> Script:
    """Runs the script from standard input, where no file of the project is near; settings replace the good ones."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        good = {
            "AIRFLOW_URL": airflow_service.url,
            "AIRFLOW_USER": USER,
            "AIRFLOW_PASSWORD": PASSWORD,
            "TRAINING_URL": f"http://127.0.0.1:{airflow_service.training_port}",
            "NGINX_URL": f"http://127.0.0.1:{airflow_service.model_port}",
        }
        return subprocess.run(
            [sys.executable, "-", *arguments],
            input=(ROOT / "manually_trigger.py").read_text(encoding="utf-8"),
            cwd=tmp_path,
            env={**os.environ, **good, **settings},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence that a failure is."""
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_a_run_is_followed_to_the_version_that_is_served(
    script: Script, training: FakeTraining, model_endpoint: FakeModelEndpoint
) -> None:
    done = script("--wait", "--epochs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    for task in ("Training_Data_Update", "Train_Model", "Switch_Latest_Model"):
        assert task in done.stdout
    assert "Verdict on version 4: promoted – version 4 is better than 3" in done.stdout
    assert "Served now: version 4" in done.stdout
    asked = next(body for method, path, body in training.calls if path == "/train" and body)["epochs"]
    assert (asked, type(asked)) == (2, int)


def test_a_failed_job_is_told_with_its_reason(script: Script, training: FakeTraining) -> None:
    training.end = {"status": "failed", "error": "the train table has one class only"}
    assert "the train table has one class only" in refusal(script("--wait"))


def test_a_failure_in_a_task_is_told_from_its_log(
    script: Script, training: FakeTraining, model_endpoint: FakeModelEndpoint
) -> None:
    training.served, training.trouble = False, "its checksum is wrong"
    assert "its checksum is wrong" in refusal(script("--wait"))


def test_a_wrong_password_is_one_sentence(script: Script) -> None:
    assert "refuses the account 'admin'" in refusal(script(AIRFLOW_PASSWORD="wrong"))


def test_an_absent_airflow_is_one_sentence(script: Script) -> None:
    assert "Airflow does not answer" in refusal(script(AIRFLOW_URL=f"http://127.0.0.1:{free_port()}"))


def test_a_conf_that_makes_no_sense_is_refused(script: Script) -> None:
    for conf in ('{"training": {"epoch": 1}}', '{"epochs": 1}', '{"training": {"epochs": 0}}', '{"trainning": {}}'):
        assert "Airflow refuses the run (400)" in refusal(script("--conf", conf))


def test_a_paused_dag_is_one_sentence(script: Script, airflow_service: Airflow) -> None:
    airflow_service.call("PATCH", f"dags/{DAG}?update_mask=is_paused", {"is_paused": True})
    try:
        assert "The DAG is paused" in refusal(script())
    finally:
        airflow_service.call("PATCH", f"dags/{DAG}?update_mask=is_paused", {"is_paused": False})


def test_an_unknown_dag_is_one_sentence(script: Script) -> None:
    elsewhere = EmptyAirflow(free_port())
    with elsewhere.listening():
        assert f"Airflow has no DAG {DAG}" in refusal(script(AIRFLOW_URL=f"http://127.0.0.1:{elsewhere.port}"))
