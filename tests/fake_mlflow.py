"""A small MLflow registry for tests of the release desk: versions, their runs, and aliases, over the REST API.

It refuses what MLflow refuses, with the same status and error code; `trouble` makes it fail as a server can.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, jsonify, request

from tests.listening import listening


@dataclass
class FakeMlflow:
    """The registry's state; tests change it as a stranger with MLflow's API would."""

    url: str = ""
    runs: dict[str, dict[int, str]] = field(default_factory=dict)
    """Registered model → version → run id."""
    aliases: dict[str, dict[str, int]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """Path below the artifacts → content."""
    tags: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    """(Registered model, version) → its tags."""
    deleted_runs: list[str] = field(default_factory=list)
    free: int | None = None
    """Bytes free on its disk, which it tells where this is set."""
    trouble: int = 0
    """A status with which every call of the registry is answered, or 0; files are given all the same."""
    slow: float = 0.0

    def delete_version(self, name: str, version: int) -> None:
        """As MLflow does it: its aliases go along."""
        self.runs.get(name, {}).pop(version, None)
        for alias in [alias for alias, number in self.aliases.get(name, {}).items() if number == version]:
            del self.aliases[name][alias]

    @contextmanager
    def listening(self) -> Iterator[None]:
        with listening(self._app()) as address:
            self.url = f"http://{address}"
            yield

    def _app(self) -> Flask:
        app = Flask("mlflow")
        api = "/api/2.0/mlflow"

        @app.before_request
        def fail() -> Response | None:
            time.sleep(self.slow)
            failing = self.trouble and request.path.startswith(f"{api}/")
            return _refused(self.trouble, "INTERNAL_ERROR", "as told") if failing else None

        @app.get("/health")
        def health() -> str:
            return "OK"

        @app.get(f"{api}/registered-models/alias")
        def alias() -> Response:
            name, wanted = request.args["name"], request.args["alias"]
            if name not in self.runs:
                return _refused(404, "RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found")
            version = self.aliases.get(name, {}).get(wanted)
            if version is None:
                return _refused(400, "INVALID_PARAMETER_VALUE", f"Registered model alias {wanted} not found.")
            return self._version(name, version)

        @app.post(f"{api}/registered-models/alias")
        def move() -> Response:
            body = request.get_json()
            name, version = body["name"], int(body["version"])
            if version not in self.runs.get(name, {}):
                return _refused(404, "RESOURCE_DOES_NOT_EXIST", f"Model Version {version} not found")
            self.aliases.setdefault(name, {})[body["alias"]] = version
            return jsonify({})

        @app.get(f"{api}/model-versions/get")
        def get() -> Response:
            return self._version(request.args["name"], int(request.args["version"]))

        @app.post(f"{api}/model-versions/set-tag")
        def set_tag() -> Response:
            body = request.get_json()
            name, version = body["name"], int(body["version"])
            if version not in self.runs.get(name, {}):
                return _refused(404, "RESOURCE_DOES_NOT_EXIST", f"Model Version {version} not found")
            self.tags.setdefault((name, version), {})[body["key"]] = body["value"]
            return jsonify({})

        @app.delete(f"{api}/model-versions/delete")
        def delete() -> Response:
            body = request.get_json()
            if int(body["version"]) not in self.runs.get(body["name"], {}):
                return _refused(404, "RESOURCE_DOES_NOT_EXIST", f"Model Version {body['version']} not found")
            self.delete_version(body["name"], int(body["version"]))
            return jsonify({})

        @app.delete(f"{api}/logged-models/<model>")
        def delete_logged(model: str) -> Response:
            return jsonify({})

        @app.get("/platform/disk")
        def disk() -> Response:
            if self.free is None:
                return _refused(404, "RESOURCE_DOES_NOT_EXIST", "no such route")
            return jsonify(free=self.free, total=64_000_000, used=64_000_000 - self.free)

        @app.get(f"{api}/runs/get")
        def run() -> Response:
            return jsonify(run={"info": {"run_id": request.args["run_id"], "experiment_id": "1"}})

        @app.post(f"{api}/runs/delete")
        def delete_run() -> Response:
            self.deleted_runs.append(request.get_json()["run_id"])
            return jsonify({})

        @app.get("/api/2.0/mlflow-artifacts/artifacts")
        def entries() -> Response:
            folder = request.args.get("path", "").rstrip("/") + "/"
            below = [path.removeprefix(folder) for path in self.files if path.startswith(folder)]
            names = sorted({(path.split("/")[0], "/" in path) for path in below})
            return jsonify(files=[{"path": name, "is_dir": is_dir} for name, is_dir in names])

        @app.delete("/api/2.0/mlflow-artifacts/artifacts/<path:path>")
        def delete_files(path: str) -> Response:
            gone = [file for file in self.files if file == path or file.startswith(f"{path}/")]
            for file in gone:
                del self.files[file]
            return jsonify({})

        @app.get("/api/2.0/mlflow-artifacts/artifacts/<path:path>")
        def artifact(path: str) -> Response:
            if path not in self.files:
                return _refused(404, "RESOURCE_DOES_NOT_EXIST", f"{path} not found")
            return Response(self.files[path], mimetype="application/octet-stream")

        return app

    def _version(self, name: str, version: int) -> Response:
        if version not in self.runs.get(name, {}):
            return _refused(404, "RESOURCE_DOES_NOT_EXIST", f"Model Version {version} not found")
        found: dict[str, Any] = {"name": name, "version": str(version), "run_id": self.runs[name][version]}
        return jsonify(model_version=found)


def _refused(status: int, code: str, message: str) -> Response:
    response = jsonify(error_code=code, message=message)
    response.status_code = status
    return response
