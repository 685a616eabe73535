"""A file that finds no room is refused at once, with a sentence; what fits is MLflow's."""

import asyncio
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tracking_server.room import with_room
from tracking_server.settings import Settings

UPLOAD = "/api/2.0/mlflow-artifacts/artifacts/1/models/m-1/artifacts/model.onnx"


def ask(folder: Path, size: int, path: str = UPLOAD, method: str = "PUT") -> tuple[int, bytes, int]:
    """Status, body, and how many parts of the request were read."""
    account = ("name", "password")
    settings = Settings(False, "sqlite://", folder, 7, account, account, account)
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": b"x", "more_body": more} for more in (True, True, False)]

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def mlflow(scope: Any, receive: Any, send: Any) -> None:
        await send({"status": 200})
        await send({"body": b"MLflow's"})

    scope = {"type": "http", "method": method, "path": path, "headers": [(b"content-length", str(size).encode())]}
    asyncio.run(with_room(mlflow, settings)(scope, receive, send))  # type: ignore[arg-type]
    return sent[0]["status"], sent[1]["body"], 3 - len(parts)


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=64_000_000, free=40_000_000))


def test_what_fits_is_mlflows(tmp_path: Path) -> None:
    assert ask(tmp_path, 30_000_000) == (200, b"MLflow's", 0)
    assert ask(tmp_path, 50_000_000, method="GET")[0] == 200
    assert ask(tmp_path, 50_000_000, path="/api/2.0/mlflow/runs/create")[0] == 200


def test_what_does_not_fit_is_read_and_refused_with_what_is_full(tmp_path: Path) -> None:
    status, body, read = ask(tmp_path / "not/made/yet", 45_000_000)
    assert status == 507 and read == 3
    said = json.loads(body)
    assert said["error_code"] == "RESOURCE_EXHAUSTED"
    assert "The disk of the artifacts is full: 40 of 64 MB are free, and this file has 45 MB." in said["message"]
