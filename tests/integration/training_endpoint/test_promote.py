import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask, jsonify, request
from mlflow import MlflowClient
from werkzeug.serving import make_server

from mlops_contract.web import install_errors, require_token
from tests import training
from training_endpoint.http.api import create_app
from training_endpoint.release import promote
from training_endpoint.settings import Settings


@contextmanager
def serve(app: Flask) -> Iterator[str]:
    """`app` on the loopback address; yields its host:port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def model_endpoint(switched: list[int]) -> Flask:
    """A fleet of one replica that notes what it was switched to."""
    app = Flask("fleet")
    install_errors(app)

    @app.post("/change_model")
    def change_model() -> Any:
        require_token("secret")
        version = request.get_json()["version"]
        replica = {"replica": "a", "address": "10.0.0.1:9998", "version": version, "previous_version": 2}
        switched.append(version)
        return jsonify(version=version, replicas=[replica], seconds=0.1)

    return app


@pytest.fixture
def settings(database: str, mlflow_url: str, tmp_path: Path) -> Settings:
    """Settings of a platform with two registered versions, the second the Champion."""
    name = f"model-{tmp_path.name}"
    client = MlflowClient(mlflow_url)
    client.create_registered_model(name)
    run = client.create_run("0").info
    for _ in range(2):
        client.create_model_version(name, source=f"{run.artifact_uri}/model", run_id=run.run_id)
    client.set_registered_model_alias(name, "Champion", "2")
    return training.settings(database, tmp_path, MLFLOW_TRACKING_URI=mlflow_url, MODEL_NAME=name)


def champion(settings: Settings) -> int:
    version = MlflowClient(settings.mlflow_tracking_uri).get_model_version_by_alias(settings.model_name, "Champion")
    return int(version.version)


def ledger(settings: Settings) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.database_url) as connection:
        query = "SELECT who, from_version, to_version, verdict, reason FROM promotion_ledger ORDER BY id"
        return connection.execute(query).fetchall()


def run(settings: Settings, version: int, switched: list[int], fleet: tuple[str, ...] = ()) -> int:
    """`python -m training_endpoint.release.promote` against a running service with a running fleet behind `fleet`."""
    with serve(model_endpoint(switched)) as address:
        served = Settings(**{**vars(settings), "model_endpoints": (*fleet, address)})
        with serve(create_app(served)) as training_address:
            environment = {"TRAINING_URL": f"http://{training_address}", "PLATFORM_TOKEN": "secret"}
            return promote.main(["--to", str(version), "--reason", "bad answers", "--who", "ada"], environment)


def test_a_rollback_is_recorded_moves_the_alias_and_switches_the_fleet(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    switched: list[int] = []
    assert run(settings, 1, switched, ("127.0.0.1:9", "no.such.host.invalid:1")) == 0
    assert champion(settings) == 1 and switched == [1]
    version = MlflowClient(settings.mlflow_tracking_uri).get_model_version(settings.model_name, "1")
    assert version.tags == {"override": "ada: bad answers"}
    assert ledger(settings) == [("ada", 2, 1, "override", "bad answers")]
    said = capsys.readouterr().out
    assert "version 2 -> 1" in said and "a at 10.0.0.1:9998 serves version 1" in said


def test_an_unknown_version_changes_nothing(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    switched: list[int] = []
    assert run(settings, 99, switched) == 1
    assert "has no version 99" in capsys.readouterr().err
    assert champion(settings) == 2 and ledger(settings) == [] and switched == []


def test_a_fleet_that_does_not_answer_is_said_and_the_decision_stays(settings: Settings) -> None:
    class Broken(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(500)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        served = Settings(**{**vars(settings), "model_endpoints": (f"127.0.0.1:{server.server_port}",)})
        body = {"version": 1, "reason": "bad answers"}
        headers = {"Authorization": "Bearer secret"}
        answer = create_app(served).test_client().post("/promote", json=body, headers=headers)
        server.shutdown()
        thread.join()
    assert answer.status_code == 502 and "no model endpoint confirmed" in answer.get_json()["error"]["message"]
    assert champion(settings) == 1 and len(ledger(settings)) == 1


def test_without_the_training_endpoint_the_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert promote.main(["--to", "1", "--reason", "x"], {"TRAINING_URL": "http://127.0.0.1:9"}) == 1
    assert "is the training endpoint running?" in capsys.readouterr().err
