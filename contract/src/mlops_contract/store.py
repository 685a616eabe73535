"""Files of model versions on this machine's disk, each as its digest says: fetched once, from whoever still has them.

    blobs/SHA256      every file once, by its content
    versions/KEY/…    a version's files, hard links into blobs; what lies in `serving/` at the top

Each step is atomic (write beside, then rename), and processes may share the folder. Needs `requests`.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import requests

from mlops_contract.errors import PlatformError
from mlops_contract.voucher import Voucher

CHUNK = 1 << 20
HAD = ".fetched"
"""In a version's folder: the paths of what was fetched, a line each."""

log = logging.getLogger(__name__)
CONNECT_S, READ_S = 3, 30


class StoreUnavailable(PlatformError):
    """The disk is full, or cannot be written."""

    status = 507
    code = "cache_unavailable"


class SourceAway(PlatformError):
    """A source of files does not answer now, and no other one has them: it may be tried again."""

    status = 503
    code = "source_away"


class FilesLost(PlatformError):
    """No source has a file with the digest that the ledger knows."""

    status = 410
    code = "files_lost"


Source = Callable[[str, str, Path], None]
"""`source(path, digest, to)` writes a version's file to `to`; raises FilesLost or SourceAway."""


class Store:
    """The folder; it keeps the files of the `keep` versions used last."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep
        self.blobs = folder / "blobs"
        self.versions = folder / "versions"

    def fetch(self, voucher: Voucher, folders: Sequence[str], sources: Sequence[Source]) -> Path:
        """The folder with the version's files below `folders`, fetched from the first source that has each."""
        wanted = voucher.below(*folders)
        if not wanted:
            raise FilesLost(f"Version {voucher.version} of {voucher.name} has no {' or '.join(folders)}.")
        target = self.versions / voucher.key
        try:
            with self._locked():
                if not all(_holds(target / _place(path), digest) for path, digest in wanted.items()):
                    self._assemble(voucher, wanted, target, sources)
                os.utime(target)
                self._prune()
        except OSError as error:
            raise StoreUnavailable(
                f"The folder {self.folder} cannot be used ({error.strerror}): free some disk, or give another one."
            ) from error
        return target

    def blob(self, digest: str) -> Path | None:
        """The file with this digest, where it is here and whole."""
        return self.blobs / digest if _holds(self.blobs / digest, digest) else None

    def _assemble(self, voucher: Voucher, wanted: Mapping[str, str], target: Path, sources: Sequence[Source]) -> None:
        if any(not _holds(target / _place(path), voucher.files[path]) for path in _had(target, voucher, wanted)):
            log.warning("version %s is not whole in %s: fetching what is damaged", voucher.version, self.folder)
        self.blobs.mkdir(exist_ok=True)
        self.versions.mkdir(exist_ok=True)
        for leftover in self.folder.glob("new-*"):  # of a process that was killed here
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="new-") as name:
            new = Path(name) / "version"
            # What was fetched for another purpose stays.
            known = {path: digest for path, digest in voucher.files.items() if _holds(target / _place(path), digest)}
            for path, digest in {**known, **wanted}.items():
                (new / _place(path)).parent.mkdir(parents=True, exist_ok=True)
                self._put(voucher, path, digest, new / _place(path), sources)
            (new / HAD).write_text("\n".join({**known, **wanted}))
            shutil.rmtree(target, ignore_errors=True)
            new.rename(target)

    def _put(self, voucher: Voucher, path: str, digest: str, to: Path, sources: Sequence[Source]) -> None:
        """One file of the version at `to`, from the blobs where it is among them."""
        if not _holds(self.blobs / digest, digest):
            fresh = to.with_name(f"{to.name}.new")
            _ask(voucher, path, digest, fresh, sources)
            fresh.replace(self.blobs / digest)
        os.link(self.blobs / digest, to)

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


def mlflow_files(url: str, voucher: Voucher, auth: tuple[str, str] | None = None) -> Source:
    """The tracking server as a source."""
    where = f"{url}/api/2.0/mlflow-artifacts/artifacts"

    def get(path: str, digest: str, to: Path) -> None:
        _download(f"{where}/{quote(f'{voucher.root}/{path}')}", {}, auth, "MLflow", path, digest, to)

    return get


def replica_files(address: str, token: str) -> Source:
    """A model endpoint's own store as a source."""

    def get(path: str, digest: str, to: Path) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        _download(f"http://{address}/models/files/{digest}", headers, None, f"The replica {address}", path, digest, to)

    return get


def _ask(voucher: Voucher, path: str, digest: str, to: Path, sources: Sequence[Source]) -> None:
    away: SourceAway | None = None
    reasons = []
    for source in sources:
        try:
            source(path, digest, to)
            return
        except SourceAway as error:
            away = away or error
        except FilesLost as error:
            reasons.append(error.message)
    if away:
        raise away
    raise FilesLost(f"Version {voucher.version} of {voucher.name}: {' '.join(reasons) or f'nobody has {path}.'}")


def _download(
    url: str, headers: dict[str, str], auth: tuple[str, str] | None, who: str, path: str, digest: str, to: Path
) -> None:
    found = hashlib.sha256()
    session = requests.Session()
    session.trust_env = False  # a proxy of the machine has no business between services
    try:
        with (
            session,
            session.get(url, headers=headers, auth=auth, timeout=(CONNECT_S, READ_S), stream=True) as answer,
            to.open("wb") as file,
        ):
            if answer.status_code in (400, 404, 410):
                raise FilesLost(f"{who} has no {path} any more.")
            answer.raise_for_status()
            for chunk in answer.iter_content(CHUNK):
                found.update(chunk)
                file.write(chunk)
    except requests.RequestException as error:
        raise SourceAway(f"{who} did not give {path} ({type(error).__name__}).") from error
    if found.hexdigest() != digest:
        raise FilesLost(f"{who} gives {path} with another sha256 than the ledger knows.")


def _had(target: Path, voucher: Voucher, wanted: Mapping[str, str]) -> list[str]:
    """The paths of a version's files that were here already, damaged since or not."""
    try:
        return [path for path in (target / HAD).read_text().splitlines() if path in voucher.files]
    except (OSError, ValueError):  # it is new, or of a release that kept no such list
        return list(wanted) if target.exists() else []


def _place(path: str) -> str:
    """Where a version's file lies in its folder here: what serves at the top, the rest as it was."""
    return path.removeprefix("serving/")


def _holds(file: Path, digest: str) -> bool:
    """Whether the file is there and has this sha256."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == digest
    except OSError:
        return False
