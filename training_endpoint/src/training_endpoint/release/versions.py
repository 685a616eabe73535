"""The versions that may be served: those that training registered, each with the digests of its files."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from psycopg.types.json import Jsonb

from mlops_contract.addresses import resolve
from mlops_contract.store import FilesLost, SourceAway, Store, StoreUnavailable, mlflow_files, replica_files
from mlops_contract.voucher import Voucher
from training_endpoint import database
from training_endpoint.errors import FilesRemoved, MlflowUnavailable, UnknownVersion
from training_endpoint.release import alias
from training_endpoint.settings import Settings

KEPT = 4  # versions whose files stay here: the Champion, its predecessor, the challenger, and one more


def record(settings: Settings, voucher: Voucher, job_id: str | None) -> None:
    """Vouches for a version from now on; nobody can change what was recorded."""
    values = voucher.as_dict()
    values |= {name: Jsonb(values[name]) for name in ("files", "metrics", "tags")}
    with database.connect(settings.database_url) as connection:
        connection.execute(database.query("version_record"), {**values, "job_id": job_id})


def find(settings: Settings, version: int) -> Voucher | None:
    """The voucher of `version`, None for one that training did not register; its files may be removed."""
    row = _row(settings, version)
    return Voucher.from_dict(row) if row else None


def get(settings: Settings, version: int) -> Voucher:
    """The voucher of `version`; raises `UnknownVersion`, or `FilesRemoved` where its files are kept no longer."""
    row = _row(settings, version)
    if row is None:
        raise UnknownVersion(
            f"Version {version} of {settings.model_name} was not registered by training, so nothing vouches for its "
            "files: sh launch.sh history names versions that were served."
        )
    if row["removed_at"] is not None:
        raise FilesRemoved(
            f"The files of version {version} of {settings.model_name} were removed at "
            f"{row['removed_at']:%Y-%m-%d %H:%M} ({row['removed_because']}): it cannot be served any more. "
            "Train again, or promote another version."
        )
    return Voucher.from_dict(row)


def _row(settings: Settings, version: int) -> dict[str, Any] | None:
    with database.connect(settings.database_url) as connection:
        values = {"name": settings.model_name, "version": version}
        return connection.execute(database.query("version_get"), values).fetchone()


def has_root(settings: Settings, root: str) -> bool:
    """Whether the files of a version lie in this folder of the tracking server."""
    with database.connect(settings.database_url) as connection:
        return connection.execute(database.query("version_at"), {"root": root}).fetchone() is not None


def unvouched(settings: Settings) -> list[int]:
    """Versions that the ledger named before vouchers were kept, newest first."""
    with database.connect(settings.database_url) as connection:
        rows = connection.execute(database.query("versions_unvouched"), {"name": settings.model_name})
        return [row["version"] for row in rows]


def files(settings: Settings, voucher: Voucher, *folders: str) -> Path:
    """The folder with a version's files below `folders`: from MLflow, or from a replica that still has them.

    Raises `FilesLost` where nobody has them with the digests that were recorded, `MlflowUnavailable` where that
    cannot be told now.
    """
    sources = [mlflow_files(settings.mlflow_tracking_uri, voucher, settings.mlflow_account)]
    tokens, addresses = settings.platform_token.valid, resolve(settings.model_endpoints)
    sources += [replica_files(address, token) for address in addresses for token in tokens]
    try:
        return store(settings).fetch(voucher, folders, sources)
    except SourceAway as error:
        raise MlflowUnavailable(f"The files of version {voucher.version} cannot be had now: {error.message}") from error


def keep(settings: Settings, voucher: Voucher, folder: Path) -> None:
    """Has the files of a version, which lie in `folder`, here for the runs to come; as far as there is room."""

    def link(path: str, digest: str, to: Path) -> None:
        to.hardlink_to(folder / path)

    with suppress(StoreUnavailable):
        store(settings).fetch(voucher, ("",), [link])


def check_in_mlflow(settings: Settings, voucher: Voucher) -> None:
    """Raises `FilesLost` unless what MLflow has of a version, its run and what serves, is what training registered."""
    if alias.version(settings, voucher.version).get("run_id") != voucher.run_id:
        raise FilesLost(f"Version {voucher.version} in MLflow belongs to another run than the registered one.")
    source = mlflow_files(settings.mlflow_tracking_uri, voucher, settings.mlflow_account)
    with TemporaryDirectory(dir=settings.state_dir) as folder:
        for path, digest in voucher.below("serving/").items():
            source(path, digest, Path(folder) / "file")


def store(settings: Settings) -> Store:
    """This service's own store of files."""
    return Store(settings.state_dir / "versions", KEPT)
