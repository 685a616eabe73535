"""Champions from before vouchers were kept: what MLflow has of them is taken as theirs, once.

Only versions that the ledger named before it was sealed can be in that state; training vouches for each later one.
"""

import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import requests

from mlops_contract.voucher import Voucher
from training_endpoint.errors import MlflowUnavailable, UnknownVersion
from training_endpoint.release import alias, peers, versions
from training_endpoint.settings import Settings

TAKEN = 3  # the Champion and those that a rollback is most likely to want
READ = ("serving/", "model/", "components/", "MLmodel")
CHUNK = 1 << 20
TIMEOUT_S = (3, 60)

log = logging.getLogger(__name__)


def voucher(settings: Settings, number: int) -> Voucher:
    """The voucher of a version that the ledger names, taken from MLflow where the version is that old.

    Raises `UnknownVersion` where MLflow has lost it, `MlflowUnavailable` where that cannot be told now.
    """
    if versions.find(settings, number) is None:
        _take(settings)
    return versions.get(settings, number)


def _take(settings: Settings) -> None:
    """Vouches for the newest such versions; those that MLflow has lost are left out."""
    for number in versions.unvouched(settings)[:TAKEN]:
        try:
            found = alias.version(settings, number)
            root = _root(settings, number)
            files = {path: _digest(settings, f"{root}/{path}") for path in _walk(settings, root, "")}
        except UnknownVersion:
            continue
        tags = {str(tag["key"]): str(tag["value"]) for tag in found.get("tags", [])}
        taken = Voucher(settings.model_name, number, str(found.get("run_id", "")), root, files, {}, tags)
        versions.record(settings, Voucher.from_dict(taken.as_dict()), tags.get("job_id"))
        log.info("version %d of an earlier release of this platform: %d files are vouched for", number, len(files))


def _root(settings: Settings, number: int) -> str:
    """The folder of a version's files below the tracking server's artifacts."""
    asked = {"name": settings.model_name, "version": str(number)}
    location = str(alias.call(settings, "GET", "model-versions/get-download-uri", asked)["artifact_uri"])
    scheme, _, path = location.partition(":")
    if scheme != "mlflow-artifacts":
        raise UnknownVersion(f"Its files lie at {location}, not on the tracking server.")
    # With a host in it (mlflow-artifacts://host/path) the path begins after the host.
    return path.removeprefix("//").partition("/")[2] if path.startswith("//") else path.lstrip("/")


def _walk(settings: Settings, root: str, folder: str) -> Iterator[str]:
    path = f"{root}/{folder}".rstrip("/")
    for entry in _get(settings, "", {"path": path}).json().get("files", []):
        name = f"{folder}/{entry['path']}".lstrip("/")
        if entry["is_dir"]:
            yield from _walk(settings, root, name)
        elif name.startswith(READ):
            yield name


def _digest(settings: Settings, path: str) -> str:
    found = hashlib.sha256()
    for chunk in _get(settings, f"/{path}", {}).iter_content(CHUNK):
        found.update(chunk)
    return found.hexdigest()


def _get(settings: Settings, path: str, asked: dict[str, Any]) -> requests.Response:
    url = f"{settings.mlflow_tracking_uri}/api/2.0/mlflow-artifacts/artifacts{path}"
    try:
        account = settings.mlflow_account
        answer = peers.call_once("GET", url, params=asked, auth=account, timeout=TIMEOUT_S, stream=bool(path))
        if answer.status_code in (400, 404):
            raise UnknownVersion(f"MLflow has no {path.lstrip('/') or asked['path']} any more.")
        answer.raise_for_status()
    except requests.RequestException as error:
        raise MlflowUnavailable(f"MLflow does not give a former Champion's files ({type(error).__name__}).") from error
    return answer
