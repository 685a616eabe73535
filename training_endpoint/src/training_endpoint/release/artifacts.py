"""The tracking server's files over its REST API: what lies in a folder, a folder deleted, how much room there is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from training_endpoint.errors import MlflowUnavailable
from training_endpoint.settings import Settings

API = "/api/2.0/mlflow-artifacts/artifacts"
TIMEOUT_S = (3, 60)


@dataclass(frozen=True)
class Room:
    """Of a disk, in bytes; `used` by what lies in the place itself."""

    free: int
    total: int
    used: int


def entries(settings: Settings, folder: str) -> list[str]:
    """Names of what lies in `folder`, a path below the artifacts; none where there is no such folder."""
    with _call(settings, "GET", API, params={"path": folder}) as answer:
        return [] if answer is None else [str(entry["path"]) for entry in answer.json().get("files", [])]


def read(settings: Settings, path: str, most: int) -> bytes | None:
    """A small file; None where there is none, or one of more than `most` bytes."""
    found = bytearray()
    with _call(settings, "GET", f"{API}/{quote(path)}", stream=True) as answer:
        if answer is None:
            return None
        for piece in answer.iter_content(65_536):
            found += piece
            if len(found) > most:
                return None
    return bytes(found)


def delete(settings: Settings, path: str) -> None:
    """Deletes a file, or a folder with all that it holds; nothing happens where there is none."""
    with _call(settings, "DELETE", f"{API}/{quote(path)}"):
        pass


def room(settings: Settings) -> Room | None:
    """The disk on which the artifacts lie; None where the tracking server is none of ours and does not tell."""
    with _call(settings, "GET", "/platform/disk") as answer:
        try:
            return None if answer is None else Room(**answer.json())
        except (ValueError, TypeError):  # a page for people
            return None


@contextmanager
def _call(settings: Settings, method: str, path: str, **given: Any) -> Iterator[requests.Response | None]:
    """The answer, None for what is not there."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the machine has no business between services
            url, account = settings.mlflow_tracking_uri + path, settings.mlflow_account
            with session.request(method, url, auth=account, timeout=TIMEOUT_S, **given) as answer:
                absent = answer.status_code in (400, 404)
                if not absent:
                    answer.raise_for_status()
                yield None if absent else answer
    except requests.RequestException as error:
        raise MlflowUnavailable(f"MLflow does not answer to {method} {path} ({type(error).__name__}).") from error
