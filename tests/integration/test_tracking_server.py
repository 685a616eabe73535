"""MLflow with accounts: what each may do, over real HTTP."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.services import ROOT, free_port, process, wait_until

PEOPLE, TRAINING, SERVING = (
    ("admin", "people's own one"),
    ("training", "writes all day"),
    ("serving", "reads all day"),
)
API = "/api/2.0/mlflow/"
ENVIRONMENT: dict[str, str] = {}
"""The server's own."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a tracking server with the platform's accounts; a Champion is registered by the training account."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PYTHONPATH": f"{ROOT}/contract/src:{ROOT}/mlflow_server/src",
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_TRACKING_USERNAME": PEOPLE[0],
        "MLFLOW_TRACKING_PASSWORD": PEOPLE[1],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "signs",
        "MLFLOW_PASSWORD": PEOPLE[1],
        "MLFLOW_TRAINING_PASSWORD": TRAINING[1],
        "MLFLOW_SERVING_PASSWORD": SERVING[1],
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [sys.executable, "-m", "tracking_server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--serve-artifacts"]
    ENVIRONMENT.update(environment)
    with process(command, folder / "mlflow.log", environment):
        wait_until("MLflow answers", lambda: requests.get(f"{url}/health", timeout=2).ok, 240)
        train(url)
        yield url


def train(url: str) -> None:
    """What a training job asks MLflow for."""
    experiment = str(call(url, "POST", "experiments/create", TRAINING, name="reviews")["experiment_id"])
    run = call(url, "POST", "runs/create", TRAINING, experiment_id=experiment)["run"]["info"]
    put = requests.put(
        f"{url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/a.txt", b"files", auth=TRAINING, timeout=9
    )
    assert put.ok
    call(url, "POST", "registered-models/create", TRAINING, name="reviews")
    source = f"mlflow-artifacts:/{experiment}/{run['run_id']}/artifacts/model"
    call(url, "POST", "model-versions/create", TRAINING, name="reviews", source=source, run_id=run["run_id"])
    call(url, "POST", "registered-models/alias", TRAINING, name="reviews", alias="Champion", version="1")


def call(url: str, method: str, path: str, account: tuple[str, str] | None, **fields: str) -> dict[str, Any]:
    answer = ask(url, method, path, account, **fields)
    assert answer.ok, answer.text
    return dict(answer.json())


def ask(url: str, method: str, path: str, account: tuple[str, str] | None, **fields: str) -> requests.Response:
    body = {"params": fields} if method == "GET" else {"json": fields}
    return requests.request(method, url + API + path, auth=account, timeout=20, **body)  # type: ignore[arg-type]


READING = [
    ("GET", "registered-models/alias", {"name": "reviews", "alias": "Champion"}),
    ("GET", "model-versions/get", {"name": "reviews", "version": "1"}),
    ("GET", "model-versions/get-download-uri", {"name": "reviews", "version": "1"}),
]
WRITING = [
    ("POST", "registered-models/alias", {"name": "reviews", "alias": "Champion", "version": "1"}),
    ("DELETE", "registered-models/alias", {"name": "reviews", "alias": "Champion"}),
    ("DELETE", "model-versions/delete", {"name": "reviews", "version": "1"}),
    ("POST", "model-versions/create", {"name": "reviews", "source": "mlflow-artifacts:/evil"}),
    ("POST", "registered-models/create", {"name": "another"}),
    ("POST", "experiments/create", {"name": "another"}),
    ("POST", "users/create", {"username": "mallory", "password": "as good as twelve"}),
]


@pytest.mark.parametrize(("method", "path", "fields"), READING + WRITING)
@pytest.mark.parametrize("account", [None, ("serving", "a wrong password"), ("mallory", "never made one")])
def test_a_stranger_may_do_nothing(
    server: str, account: tuple[str, str] | None, method: str, path: str, fields: dict[str, str]
) -> None:
    assert ask(server, method, path, account, **fields).status_code in (401, 403)


@pytest.mark.parametrize(("method", "path", "fields"), READING)
def test_the_replicas_may_read(server: str, method: str, path: str, fields: dict[str, str]) -> None:
    call(server, method, path, SERVING, **fields)


@pytest.mark.parametrize(("method", "path", "fields"), WRITING)
def test_the_replicas_may_write_nothing(server: str, method: str, path: str, fields: dict[str, str]) -> None:
    assert ask(server, method, path, SERVING, **fields).status_code == 403


def test_files_need_an_account_too(server: str) -> None:
    address = f"{server}/api/2.0/mlflow-artifacts/artifacts/1/a.txt"
    assert requests.get(address, timeout=9).status_code == 401
    assert requests.put(address, b"other files", timeout=9).status_code == 401
    assert requests.put(address, b"other files", auth=SERVING, timeout=9).status_code == 403
    assert requests.get(address, auth=SERVING, timeout=9).content == b"files"


def test_training_makes_no_accounts_and_people_may_do_all(server: str) -> None:
    new = {"username": "somebody", "password": "as good as twelve"}
    assert ask(server, "POST", "users/create", TRAINING, **new).status_code == 403
    call(server, "POST", "users/create", PEOPLE, **new)
    call(server, "POST", "registered-models/alias", PEOPLE, name="reviews", alias="candidate", version="1")


@pytest.mark.parametrize("path", ["config", "providers", "message", "skills/install"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_there_is_no_assistant(server: str, method: str, path: str) -> None:
    address = f"{server}/ajax-api/3.0/mlflow/assistant/{path}"
    assert requests.request(method, address, json={}, auth=PEOPLE, timeout=9).status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5001"])
def test_a_page_of_another_name_is_refused(server: str, host: str) -> None:
    answer = requests.get(server + API + "experiments/search", auth=PEOPLE, headers={"Host": host}, timeout=9)
    assert answer.status_code == 403


def test_a_short_or_missing_password_ends_the_start_with_its_name(tmp_path: Path) -> None:
    for given, said in (("short", "MLFLOW_PASSWORD is too short"), ("", "MLFLOW_PASSWORD is not set")):
        environment = {
            "PYTHONPATH": f"{ROOT}/contract/src:{ROOT}/mlflow_server/src",
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "signs",
            "MLFLOW_PASSWORD": given,
        }
        with process([sys.executable, "-m", "tracking_server"], tmp_path / "log", environment) as child:
            assert child.wait(30) == 1
        assert said in (tmp_path / "log").read_text()


def test_the_platforms_accounts_learn_how_much_room_there_is(server: str) -> None:
    for account in (PEOPLE, TRAINING, SERVING):
        told = requests.get(f"{server}/platform/disk", auth=account, timeout=9).json()
        assert set(told) == {"free", "total", "used"} and 0 < told["used"] < told["free"] < told["total"]
    for stranger in (None, ("training", "wrong"), ("mallory", "x")):
        assert requests.get(f"{server}/platform/disk", auth=stranger, timeout=9).status_code == 401


def test_mlflow_gc_beside_the_server_needs_no_url(server: str) -> None:
    run = call(server, "POST", "runs/create", TRAINING, experiment_id="1")["run"]["info"]["run_id"]
    file = f"{server}/api/2.0/mlflow-artifacts/artifacts/1/{run}/artifacts/a.txt"
    assert requests.put(file, b"files", auth=TRAINING, timeout=9).ok
    call(server, "POST", "runs/delete", TRAINING, run_id=run)
    command = ["sh", str(ROOT / "mlflow_server/bin/mlflow"), "gc"]
    done = subprocess.run(
        command,
        env={**os.environ, **ENVIRONMENT, "_MLFLOW_SGI_NAME": "uvicorn"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"Run with ID {run} has been permanently deleted" in done.stdout
    assert ask(server, "GET", "runs/get", PEOPLE, run_id=run).status_code == 404
    assert not requests.get(file, auth=PEOPLE, timeout=9).ok


COUNT = """
import mlflow.server.auth.sqlalchemy_store as users
compared, compare = [], users.check_password_hash
users.check_password_hash = lambda *given: compared.append(1) or compare(*given)
from tracking_server.app import create
from starlette.testclient import TestClient
client = TestClient(create(), base_url="http://127.0.0.1")
compared.clear()
import os
right = ("serving", os.environ["MLFLOW_SERVING_PASSWORD"])
path = "/api/2.0/mlflow/experiments/search?max_results=5"
print([client.get(path, auth=right).status_code for _ in range(5)].count(401), len(compared))
print(client.get(path, auth=("serving", "a wrong password")).status_code)
"""


def test_a_password_is_compared_with_its_hash_once(server: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", COUNT]
    done = subprocess.run(
        command,
        env={**os.environ, **ENVIRONMENT, "_MLFLOW_SGI_NAME": "uvicorn"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.stdout.splitlines()[-2:] == ["0 1", "401"], done.stdout + done.stderr
