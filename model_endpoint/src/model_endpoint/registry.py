"""MLflow's registry over its REST API: alias to version to files.

Plain HTTP, because importing the mlflow client costs a replica more memory than the model does.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from model_endpoint.errors import NoSuchVersion, RegistryUnavailable
from model_runner import CannotServe

CHUNK = 1 << 20


@dataclass(frozen=True)
class Version:
    """One registered version: what people call it, and where its files are."""

    name: str
    version: int
    run_id: str
    source: str
    metrics: dict[str, float] = field(default_factory=dict, compare=False)
    tags: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> str:
        """A folder's name, other for another registry's version of the same number."""
        place = hashlib.sha256(f"{self.name}\n{self.run_id}\n{self.source}".encode()).hexdigest()
        return f"{self.version}-{place[:16]}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Version":
        return cls(**values)


@dataclass(frozen=True)
class RemoteFile:
    """A file of a version: its path below the version's folder, and its size in bytes."""

    path: str
    size: int


class Registry:
    """The registry at `url`. Every method raises RegistryUnavailable where MLflow does not answer."""

    def __init__(self, url: str, timeout: float = 5) -> None:
        self.url = url
        self.timeout = timeout

    def champion(self, name: str, alias: str) -> Version:
        """The version that `alias` names now; NoSuchVersion where there is none."""
        found = self._get("registered-models/alias", name=name, alias=alias)["model_version"]
        return self._version(found)

    def version(self, name: str, number: int) -> Version:
        """A version by its number; NoSuchVersion where there is none."""
        return self._version(self._get("model-versions/get", name=name, version=number)["model_version"])

    def with_metrics(self, version: Version) -> Version:
        """`version` with its run's metrics, as far as the registry still knows the run."""
        if not version.run_id:
            return version
        try:
            data = self._get("runs/get", run_id=version.run_id)["run"]["data"]
        except NoSuchVersion:
            return version
        metrics = {metric["key"]: float(metric["value"]) for metric in data.get("metrics", [])}
        return Version(**{**version.as_dict(), "metrics": metrics})

    def files(self, version: Version, folder: str = "") -> list[RemoteFile]:
        """All files below `folder` of the version; empty where there is no such folder."""
        return list(self._walk(self._root(version), folder))

    def download(self, version: Version, path: str, to: Path) -> str:
        """Writes one file of the version to `to` and returns the sha256 of what was written."""
        address = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{quote(f'{self._root(version)}/{path}')}"
        digest = hashlib.sha256()
        try:
            with requests.get(address, timeout=self.timeout * 6, stream=True) as answer, to.open("wb") as file:
                if answer.status_code == requests.codes.not_found:
                    raise NoSuchVersion(f"Version {version.version} of {version.name} has no file {path}.")
                answer.raise_for_status()
                for chunk in answer.iter_content(CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
        except requests.RequestException as error:
            raise RegistryUnavailable(f"MLflow at {self.url} did not give {path}: {type(error).__name__}.") from error
        return digest.hexdigest()

    def _version(self, found: dict[str, Any]) -> Version:
        tags = {tag["key"]: tag["value"] for tag in found.get("tags", [])}
        return Version(found["name"], int(found["version"]), found.get("run_id", ""), found["source"], {}, tags)

    def _root(self, version: Version) -> str:
        uri = self._get("model-versions/get-download-uri", name=version.name, version=version.version)["artifact_uri"]
        scheme, _, path = uri.partition(":")
        if scheme != "mlflow-artifacts":
            raise CannotServe(
                f"Version {version.version} lies at {uri}: only files that the tracking server hands out "
                "(mlflow server --serve-artifacts) can be served."
            )
        # With a host in it (mlflow-artifacts://host/path) the path begins after the host.
        return str(path.removeprefix("//").partition("/")[2] if path.startswith("//") else path.lstrip("/"))

    def _walk(self, root: str, folder: str) -> Iterator[RemoteFile]:
        path = f"{root}/{folder}".rstrip("/")
        for entry in self._json("mlflow-artifacts/artifacts", {"path": path}).get("files", []):
            name = f"{folder}/{entry['path']}".lstrip("/")
            if entry["is_dir"]:
                yield from self._walk(root, name)
            else:
                yield RemoteFile(name, int(entry.get("file_size", 0)))

    def _get(self, call: str, **parameters: object) -> dict[str, Any]:
        return self._json(f"mlflow/{call}", parameters)

    def _json(self, path: str, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = requests.get(f"{self.url}/api/2.0/{path}", params=parameters, timeout=self.timeout)
            body = answer.json()
        except requests.RequestException as error:
            raise RegistryUnavailable(f"MLflow at {self.url} does not answer: {type(error).__name__}.") from error
        if answer.ok and isinstance(body, dict):
            return body
        message = str(body.get("message", "")) if isinstance(body, dict) else ""
        missing = answer.status_code == requests.codes.not_found or message.endswith("not found.")
        if missing:
            raise NoSuchVersion(f"MLflow says: {message}")
        raise RegistryUnavailable(f"MLflow at {self.url} answered {answer.status_code}; its log says why.")
