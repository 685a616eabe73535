"""A real Airflow for integration tests: its own processes from its own interpreter, on the tests' PostgreSQL.

Airflow cannot share an environment with the rest, so its interpreter comes from AIRFLOW_PYTHON.
"""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import services

PYTHON = Path(os.environ.get("AIRFLOW_PYTHON", services.ROOT / ".platform/envs/airflow/bin/python"))
USER = "admin"
PASSWORD = "admin"
RELAY_PASSWORD = "the relay's own"
DAG = "machine-learning-training-pipeline"
SECRET = "0123456789abcdef" * 4
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


def need_airflow() -> None:
    """Skips the calling test where Airflow's environment is absent."""
    if not PYTHON.exists():
        pytest.skip(f"no Airflow environment at {PYTHON}: set AIRFLOW_PYTHON to the interpreter of one")


def common_settings() -> dict[str, str]:
    """The settings of airflow/airflow.env, which the product runs with."""
    lines = (services.ROOT / "airflow/airflow.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


class Airflow:
    """Airflow's processes, of which tests may stop and start single ones, and a client of its REST API.

    The DAG looks for the training endpoint at `training_port` and for a model endpoint at `model_port` of the
    loopback address. Nothing listens there until a test does.
    """

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.port = services.free_port()
        self.training_port = services.free_port()
        self.model_port = services.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self._running: dict[str, ExitStack] = {}
        self.environment = common_settings() | {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(services.ROOT / "airflow/dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(services.ROOT / "airflow/plugins"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.replace("postgresql://", "postgresql+psycopg2://"),
            "AIRFLOW_CLEANING_DATABASE": database.replace("postgresql://", "postgresql+psycopg2://"),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__SECRET_KEY": SECRET,
            "AIRFLOW__API_AUTH__JWT_SECRET": SECRET,
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(services.free_port()),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(services.free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(services.free_port()),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(services.ROOT / "contract/src"),
            "TRAINING_URL": f"http://127.0.0.1:{self.training_port}",
            "SWITCH_TIMEOUT_S": "2",
            "PLATFORM_TOKEN": SECRET,
            "TRAINING_POLL_S": "0.2",
            "AIRFLOW_USER": USER,
            "AIRFLOW_RELAY_PASSWORD": RELAY_PASSWORD,
        }

    def initialise(self, password: str = PASSWORD) -> None:
        """Does what the service airflow-init does: schema, USER with `password`, pipeline."""
        done = subprocess.run(
            [str(PYTHON), str(services.ROOT / "airflow/initialise.py")],
            env={**os.environ, **self.environment, "AIRFLOW_PASSWORD": password},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

    def start(self, component: str) -> None:
        """Starts one of COMPONENTS."""
        log = self.folder / f"{component}.log"
        stack = ExitStack()
        stack.enter_context(services.process([str(PYTHON), "-m", "airflow", component], log, self.environment))
        self._running[component] = stack

    def stop(self, component: str) -> None:
        """Ends one of COMPONENTS, waiting until it is gone."""
        self._running.pop(component).close()

    def stop_all(self) -> None:
        """All at once: each takes seconds."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.stop, list(self._running)))

    def healthy(self) -> bool:
        """True when all four processes report so and the DAG is known."""
        state = requests.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all(state[part]["status"] == "healthy" for part in parts) and self.call("GET", f"dags/{DAG}")[0] == 200

    def log_in(self, user: str, password: str) -> requests.Response:
        """Airflow's answer to an account; a good one has "access_token"."""
        login = {"username": user, "password": password}
        return requests.post(f"{self.url}/auth/token", json=login, timeout=30)

    def call(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, Any]:
        """Calls the REST API as USER, or as whose `token` is given; returns the status and the parsed answer."""
        if not self.token:
            self.token = self.log_in(USER, PASSWORD).json()["access_token"]
        headers = {"Authorization": f"Bearer {token or self.token}"}
        answer = requests.request(method, f"{self.url}/api/v2/{path}", json=body, headers=headers, timeout=30)
        return answer.status_code, answer.json() if answer.content else None

    def trigger(self, run_id: str, conf: dict[str, Any] | None = None) -> None:
        """Starts a run of the pipeline."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        status, answer = self.call("POST", f"dags/{DAG}/dagRuns", body)
        assert status == 200, answer

    def run(self, run_id: str) -> dict[str, Any]:
        """The run as the REST API shows it; its "state" is queued, running, success or failed."""
        status, answer = self.call("GET", f"dags/{DAG}/dagRuns/{run_id}")
        assert status == 200, answer
        return dict(answer)

    def end_runs(self, dag: str = DAG) -> None:
        """Fails every run that has not ended, so that the next one is not queued behind it."""
        # When the running one has ended, the queued one may run before it is found.
        while True:
            _, answer = self.call("GET", f"dags/{dag}/dagRuns?state=queued&state=running")
            if not answer["dag_runs"]:
                return
            for run in answer["dag_runs"]:
                self.call("PATCH", f"dags/{dag}/dagRuns/{run['dag_run_id']}", {"state": "failed"})

    def tasks(self, run_id: str) -> dict[str, str]:
        """The state of each task of a run."""
        _, answer = self.call("GET", f"dags/{DAG}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: task["state"] for task in answer["task_instances"]}

    def log(self, run_id: str, task: str, attempt: int = 1) -> str:
        """A task's log, as the UI reads it."""
        _, answer = self.call("GET", f"dags/{DAG}/dagRuns/{run_id}/taskInstances/{task}/logs/{attempt}")
        lines = (str(line.get("event", line)) + str(line.get("error_detail") or "") for line in answer["content"])
        return "\n".join(lines)


@contextmanager
def airflow(folder: Path, database: str) -> Iterator[Airflow]:
    """A migrated Airflow with USER and all its processes up; `database` is the URL of an empty PostgreSQL database."""
    service = Airflow(folder, database)
    service.initialise()
    try:
        for component in COMPONENTS:
            service.start(component)
        services.wait_until("Airflow is healthy and knows the DAG", service.healthy, 270, 0.5)
        yield service
    finally:
        service.stop_all()
