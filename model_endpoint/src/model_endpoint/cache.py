"""The models on this machine's disk, so that each is downloaded once and a restart needs no registry.

    blobs/SHA256           every file once, by its content
    versions/KEY/…         a version's files, hard links into blobs, and version.json: what it is, and their digests
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

from model_endpoint.errors import CacheUnavailable
from model_endpoint.registry import Registry, Version
from model_runner import CannotServe
from model_runner.artifact import MANIFEST, Manifest, is_torch

RECORD = "version.json"


class Cache:
    """The cache in `folder`; it keeps the files of the `keep` versions used last."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep
        self.blobs = folder / "blobs"
        self.versions = folder / "versions"
        self.state = folder / "state"

    def fetch(self, registry: Registry, version: Version, flavor: bool) -> Path:
        """The folder with the version's files, each as its digest says; downloaded where they are not.

        `flavor` asks for what PyTorch needs as well.
        """
        target = self.versions / version.key
        try:
            with self._locked():
                if not self._whole(target, flavor):
                    self._download(registry, version, target, flavor)
                os.utime(target)
                self._prune()
        except OSError as error:
            raise CacheUnavailable(
                f"The cache in {self.folder} cannot be used ({error.strerror}): free some disk, or set MODEL_CACHE."
            ) from error
        return target

    def find(self, version: Version) -> Version | None:
        """The version with all that was known when it was downloaded, if it is here."""
        try:
            return Version.from_dict(_read(self.versions / version.key / RECORD)["version"])
        except (KeyError, TypeError):
            return None

    def read_state(self, name: str) -> dict[str, Any]:
        """What `write_state` wrote last for the model `name`; empty at first or when unreadable."""
        return _read(self._state_file(name))

    def write_state(self, name: str, state: dict[str, Any]) -> None:
        """Stores the state of the model `name` in one step."""
        self.state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.state) as folder:
            new = Path(folder) / "state"
            new.write_text(json.dumps(state, indent=1))
            new.replace(self._state_file(name))

    def _state_file(self, name: str) -> Path:
        return self.state / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"

    def _whole(self, target: Path, flavor: bool) -> bool:
        record = _read(target / RECORD)
        files = record.get("files", {})
        return bool(files) and record["flavor"] >= flavor and all(_holds(target / name, files[name]) for name in files)

    def _download(self, registry: Registry, version: Version, target: Path, flavor: bool) -> None:
        self.blobs.mkdir(exist_ok=True)
        self.versions.mkdir(exist_ok=True)
        for leftover in self.folder.glob("new-*"):  # of a replica that was killed here
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="new-") as name:
            new = Path(name) / "version"
            new.mkdir()
            files = self._serving_files(registry, version, new)
            if flavor:
                files |= self._flavor_files(registry, version, new)
            record = {"version": version.as_dict(), "files": files, "flavor": flavor}
            (new / RECORD).write_text(json.dumps(record))
            shutil.rmtree(target, ignore_errors=True)
            new.rename(target)

    def _serving_files(self, registry: Registry, version: Version, new: Path) -> dict[str, str]:
        """Places the manifest and the files that it lists; their digests."""
        if not registry.files(version, "serving"):
            raise CannotServe(f"No text classifier of this platform: version {version.version} has no serving/ folder.")
        found = {MANIFEST: registry.download(version, f"serving/{MANIFEST}", new / MANIFEST)}
        for name, digest in Manifest.read(new).files.items():
            found[name] = self._place(registry, version, f"serving/{name}", new / name, digest)
        return found

    def _flavor_files(self, registry: Registry, version: Version, new: Path) -> dict[str, str]:
        found = {}
        for file in registry.files(version):
            if is_torch(file.path):
                (new / file.path).parent.mkdir(parents=True, exist_ok=True)
                found[file.path] = self._place(registry, version, file.path, new / file.path, None)
        return found

    def _place(self, registry: Registry, version: Version, path: str, to: Path, digest: str | None) -> str:
        """Puts one file of the version at `to`, from the blobs if it is among them; its digest."""
        if digest and _holds(self.blobs / digest, digest):
            os.link(self.blobs / digest, to)
            return digest
        found = registry.download(version, path, to)
        if digest not in (None, found):
            raise CannotServe(f"Version {version.version}: {path} has another sha256 than the manifest says.")
        (self.blobs / found).unlink(missing_ok=True)
        os.link(to, self.blobs / found)
        return found

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


def _read(file: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none, or a damaged one."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _holds(file: Path, digest: str) -> bool:
    """Whether the file is there and has this sha256."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == digest
    except OSError:
        return False
