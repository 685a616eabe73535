"""What Airflow's accounts may do: people all, the relay what it needs and nothing else."""

import os
import subprocess

import pytest
import requests

from tests.airflow_service import DAG, PASSWORD, PYTHON, RELAY_PASSWORD, USER, Airflow
from tests.integration.airflow.platform_fakes import FakeModelEndpoint, FakeTraining
from tests.services import wait_until

RUN = f"dags/{DAG}/dagRuns/relay-run"


@pytest.fixture(scope="module")
def relay(airflow_service: Airflow) -> str:
    """The relay's token."""
    return str(airflow_service.log_in("relay", RELAY_PASSWORD).json()["access_token"])


def test_the_relay_starts_a_run_and_reads_how_it_goes(
    airflow_service: Airflow, relay: str, training: FakeTraining, model_endpoint: FakeModelEndpoint
) -> None:
    status, dag = airflow_service.call("GET", f"dags/{DAG}", token=relay)
    assert status == 200 and dag["is_paused"] is False
    body: dict[str, object] = {"dag_run_id": "relay-run", "logical_date": None, "conf": {}}
    assert airflow_service.call("POST", f"dags/{DAG}/dagRuns", body, relay)[0] == 200
    assert airflow_service.call("GET", f"dags/{DAG}/dagRuns?state=queued&limit=1", token=relay)[0] == 200
    wait_until("the run ends", lambda: airflow_service.call("GET", RUN, token=relay)[1]["state"] == "success", 90, 0.5)
    _, tasks = airflow_service.call("GET", f"{RUN}/taskInstances", token=relay)
    assert {task["state"] for task in tasks["task_instances"]} == {"success"}
    status, log = airflow_service.call("GET", f"{RUN}/taskInstances/Train_Model/logs/1", token=relay)
    assert status == 200 and "Training job" in str(log["content"])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", f"dags/{DAG}", None),
        ("DELETE", RUN, None),
        ("PATCH", RUN, {"state": "failed"}),
        ("POST", f"{RUN}/clear", {"dry_run": False}),
        ("GET", "connections", None),
        ("POST", "connections", {"connection_id": "evil", "conn_type": "http"}),
        ("GET", "variables", None),
        ("POST", "variables", {"key": "evil", "value": "1"}),
        ("GET", "config", None),
        ("GET", "importErrors", None),
        ("GET", "eventLogs", None),
        ("POST", "pools", {"name": "evil", "slots": 1}),
    ],
)
def test_the_relay_may_nothing_else(airflow_service: Airflow, relay: str, method: str, path: str, body: object) -> None:
    assert airflow_service.call(method, path, body, relay)[0] == 403


def test_the_relay_makes_no_accounts(airflow_service: Airflow, relay: str) -> None:
    headers = {"Authorization": f"Bearer {relay}"}
    for path in ("/auth/fab/v1/users", "/auth/fab/v1/roles"):
        assert requests.get(airflow_service.url + path, headers=headers, timeout=30).status_code == 403


def test_a_password_that_was_changed_in_the_ui_stays_until_env_names_another(airflow_service: Airflow) -> None:
    def changed(password: str) -> None:
        headers = {"Authorization": f"Bearer {airflow_service.token}"}
        url = f"{airflow_service.url}/auth/fab/v1/users/{USER}?update_mask=password"
        answer = requests.patch(url, json={"password": password}, headers=headers, timeout=30)
        assert answer.ok, answer.text

    airflow_service.call("GET", "dags")  # logs in
    changed("another one")
    try:
        airflow_service.initialise()
        assert airflow_service.log_in(USER, PASSWORD).status_code == 401
        assert airflow_service.log_in(USER, "another one").ok
        assert airflow_service.log_in("relay", RELAY_PASSWORD).ok
        airflow_service.initialise("a third one")
        assert airflow_service.log_in(USER, "a third one").ok
    finally:
        airflow_service.initialise(PASSWORD)
    assert airflow_service.log_in(USER, PASSWORD).ok


KEEP = "from airflow.models import Variable; Variable.set('mine', 'secret')"
READ = "from airflow.models import Variable; print(Variable.get('mine', default_var='lost'))"


def test_a_new_key_reads_what_the_old_one_encrypted(airflow_service: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "AIRFLOW__CORE__FERNET_KEY"
    old, new = airflow_service.environment[name], "YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk="

    def run(script: str, key: str) -> str:
        environment = {**os.environ, **airflow_service.environment, name: key}
        command = [str(PYTHON), "-c", script]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    run(KEEP, old)
    try:
        monkeypatch.setitem(airflow_service.environment, name, f"{new},{old}")
        airflow_service.initialise()
        assert run(READ, new).splitlines()[-1] == "secret"
    finally:
        monkeypatch.setitem(airflow_service.environment, name, f"{old},{new}")
        airflow_service.initialise()
