"""The tracking server's files over its REST API: what lies in a folder, a folder deleted, how much room there is."""

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
    answer = _call(settings, "GET", API, params={"path": folder})
    return [] if answer is None else [str(entry["path"]) for entry in answer.json().get("files", [])]


def read(settings: Settings, path: str, most: int) -> bytes | None:
    """A small file; None where there is none, or one of more than `most` bytes."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            url, account = f"{settings.mlflow_tracking_uri}{API}/{quote(path)}", settings.mlflow_account
            with session.get(url, auth=account, timeout=TIMEOUT_S, stream=True) as answer:
                if answer.status_code in (400, 404):
                    return None
                answer.raise_for_status()
                found = bytearray()
                for piece in answer.iter_content(65_536):
                    found += piece
                    if len(found) > most:
                        return None
                return bytes(found)
    except requests.RequestException as error:
        raise MlflowUnavailable(f"MLflow did not give {path} ({type(error).__name__}).") from error


def delete(settings: Settings, path: str) -> None:
    """Deletes a file, or a folder with all that it holds; nothing happens where there is none."""
    _call(settings, "DELETE", f"{API}/{quote(path)}")


def room(settings: Settings) -> Room | None:
    """The disk on which the artifacts lie; None where the tracking server is none of ours and does not tell."""
    answer = _call(settings, "GET", "/platform/disk")
    try:
        return None if answer is None else Room(**answer.json())
    except (ValueError, TypeError):  # a page for people
        return None


def _call(settings: Settings, method: str, path: str, **given: Any) -> requests.Response | None:
    """The answer, None for what is not there."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the machine has no business between services
            url, account = settings.mlflow_tracking_uri + path, settings.mlflow_account
            answer = session.request(method, url, auth=account, timeout=TIMEOUT_S, **given)
        if answer.status_code in (400, 404):
            return None
        answer.raise_for_status()
    except requests.RequestException as error:
        raise MlflowUnavailable(f"MLflow does not answer to {method} {path} ({type(error).__name__}).") from error
    return answer
