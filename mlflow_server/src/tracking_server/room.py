"""Room for artifacts: what is left is told, and a file for which there is none is refused at once.

MLflow answers a full disk with 500, which its clients take for something that passes: they try for minutes, silently.
"""

import asyncio
import hmac
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from mlops_contract.disk import taken
from tracking_server.asgi import Application, Scope, answer, credentials, header
from tracking_server.settings import Settings

PATH = "/platform/disk"
UPLOADS = "/mlflow-artifacts/artifacts/"
RESERVE = 1 << 20
"""Bytes that stay free, since folders take room too."""


def with_room(app: Application, settings: Settings) -> Application:
    """`app`, and GET /platform/disk: {"free", "total", "used"} in bytes, for whoever has an account of the platform."""
    folder = settings.artifacts
    if folder is None:
        return app

    async def around(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            if not _known(scope, settings):
                return await answer(send, 401, b"An account of the platform is wanted.")
            told = await asyncio.to_thread(_room, folder)
            return await answer(send, 200, json.dumps(told).encode(), b"application/json")
        if scope["type"] == "http" and scope["method"] == "PUT" and UPLOADS in scope["path"]:
            size = header(scope, b"content-length")
            full = _full(folder, int(size)) if size.isdigit() else ""
            if full:
                while (await receive()).get("more_body"):  # else the client sees a connection that breaks
                    pass
                words = json.dumps({"error_code": "RESOURCE_EXHAUSTED", "message": full})
                return await answer(send, 507, words.encode(), b"application/json")
        return await app(scope, receive, send)

    return around


def _known(scope: Scope, settings: Settings) -> bool:
    if not settings.auth:
        return True
    name, password = credentials(scope)
    accounts = dict((settings.people, settings.training, settings.serving))
    return name in accounts and hmac.compare_digest(accounts[name].encode(), password.encode())


def _room(folder: Path) -> dict[str, int]:
    disk = shutil.disk_usage(_there(folder))
    return {"free": disk.free, "total": disk.total, "used": taken(folder)}


def _full(folder: Path, size: int) -> str:
    """Why a file of `size` bytes finds no room, in its place or where uploads wait; empty where it does."""
    for place, name in ((_there(folder), "of the artifacts"), (Path(tempfile.gettempdir()), "of uploads")):
        disk = shutil.disk_usage(place)
        if size + RESERVE > disk.free:
            return (
                f"The disk {name} is full: {disk.free / 1e6:.0f} of {disk.total / 1e6:.0f} MB are free, and this file "
                f"has {size / 1e6:.0f} MB. Free some, then try again."
            )
    return ""


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that exists: MLflow makes it with the first file."""
    return next(one for one in (folder, *folder.parents) if one.exists())
