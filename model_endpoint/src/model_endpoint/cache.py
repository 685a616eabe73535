"""The models on this machine's disk, so that each is downloaded once and a restart needs no registry.

    blobs/SHA256           every file once, by its content
    versions/KEY/…         a version's files, hard links into blobs, and version.json beside them
    state/NAME.json        the last good version and the last switches

Each step is atomic (write beside, then rename) and replicas may share the folder.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_endpoint.errors import CannotServe
from model_endpoint.registry import Registry, Version

RECORD = "version.json"
# What MLflow's transformers flavor needs; the rest of such a folder (environment files, examples) stays away.
FLAVOR_FOLDERS = ("model/", "components/")


class Cache:
    """The cache in `folder`; it keeps the files of the `keep` versions used last."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep
        self.blobs = folder / "blobs"
        self.versions = folder / "versions"
        self.state = folder / "state"

    def fetch(self, registry: Registry, version: Version) -> Path:
        """The folder with the version's files, downloaded and checked where they are not here yet."""
        target = self.versions / version.key
        with self._locked():
            if not (target / RECORD).exists():
                self._download(registry, version, target)
            os.utime(target)
            self._prune()
        return target

    def find(self, version: Version) -> Version | None:
        """The version with all that was known when it was downloaded, if it is here whole."""
        try:
            return Version.from_dict(json.loads((self.versions / version.key / RECORD).read_text()))
        except FileNotFoundError:
            return None

    def forget(self, version: Version) -> None:
        """Drops the version's files, because they proved damaged."""
        with self._locked():
            damaged = {file.stat().st_ino for file in (self.versions / version.key).rglob("*")}
            for blob in self.blobs.iterdir():
                if blob.stat().st_ino in damaged:
                    blob.unlink()
            shutil.rmtree(self.versions / version.key, ignore_errors=True)

    def read_state(self, name: str) -> dict[str, Any]:
        """What `write_state` wrote last for the model `name`; empty at first or when unreadable."""
        try:
            state = json.loads(self._state_file(name).read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def write_state(self, name: str, state: dict[str, Any]) -> None:
        """Stores the state of the model `name` in one step."""
        self.state.mkdir(parents=True, exist_ok=True)
        _write(self._state_file(name), json.dumps(state, indent=1))

    def _state_file(self, name: str) -> Path:
        return self.state / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"

    def _download(self, registry: Registry, version: Version, target: Path) -> None:
        self.blobs.mkdir(exist_ok=True)
        self.versions.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="new-") as name:
            new = Path(name) / "version"
            new.mkdir()
            self._serving_files(registry, version, new) or self._flavor_files(registry, version, new)
            (new / RECORD).write_text(json.dumps(version.as_dict()))
            shutil.rmtree(target, ignore_errors=True)
            new.rename(target)

    def _serving_files(self, registry: Registry, version: Version, new: Path) -> bool:
        if not registry.files(version, "serving"):
            return False
        registry.download(version, "serving/manifest.json", new / "manifest.json")
        try:
            listed = json.loads((new / "manifest.json").read_text())["files"]
            wanted = {str(name): str(entry["sha256"]) for name, entry in listed.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CannotServe(f"Version {version.version}: serving/manifest.json is damaged ({error!r}).") from error
        for name, digest in wanted.items():
            if Path(name).name != name:
                raise CannotServe(f"Version {version.version}: the manifest names the file {name!r}.")
            self._place(registry, version, f"serving/{name}", new / name, digest)
        return True

    def _flavor_files(self, registry: Registry, version: Version, new: Path) -> bool:
        for file in registry.files(version):
            if file.path == "MLmodel" or file.path.startswith(FLAVOR_FOLDERS):
                (new / file.path).parent.mkdir(parents=True, exist_ok=True)
                self._place(registry, version, file.path, new / file.path, None)
        return True

    def _place(self, registry: Registry, version: Version, path: str, to: Path, digest: str | None) -> None:
        if digest and (self.blobs / digest).exists():
            os.link(self.blobs / digest, to)
            return
        found = registry.download(version, path, to)
        if digest not in (None, found):
            raise CannotServe(f"Version {version.version}: {path} has another sha256 than the manifest says.")
        if not (self.blobs / found).exists():
            os.link(to, self.blobs / found)

    def _prune(self) -> None:
        by_use = sorted(self.versions.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in by_use[self.keep :]:
            shutil.rmtree(folder)
        for blob in self.blobs.iterdir():
            if blob.stat().st_nlink == 1:
                blob.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _write(target: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False) as file:
        file.write(text)
    Path(file.name).replace(target)
