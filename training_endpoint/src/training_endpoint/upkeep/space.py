"""How much room there is where the platform keeps what grows."""

import shutil
from typing import Any

from mlops_contract.disk import taken
from training_endpoint import database
from training_endpoint.errors import DatabaseUnavailable, MlflowUnavailable
from training_endpoint.release import artifacts
from training_endpoint.release.artifacts import Room
from training_endpoint.settings import Settings

MB = 1e6
ARTIFACTS = "the disk of MLflow's artifacts"
STATE = "the training endpoint's disk (STATE_DIR)"


def state(settings: Settings) -> Room:
    """The disk of this service's own folder."""
    disk = shutil.disk_usage(settings.state_dir)
    return Room(disk.free, disk.total, taken(settings.state_dir))


def places(settings: Settings) -> list[dict[str, Any]]:
    """[{"place", "free", "total", "used"}] in bytes; what does not answer is left out."""
    found: dict[str, dict[str, int | None]] = {"state": vars(state(settings))}
    try:
        room = artifacts.room(settings)
        found |= {"artifacts": vars(room)} if room else {}
    except MlflowUnavailable:
        pass
    try:
        with database.connect(settings.database_url) as connection:
            row = connection.execute(database.query("database_bytes")).fetchone()
        found["training database"] = {"free": None, "total": None, "used": row["bytes"] if row else None}
    except DatabaseUnavailable:
        pass
    return [{"place": place, **room} for place, room in sorted(found.items())]


def said(count: float) -> str:
    """Bytes for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / MB:.0f} MB"
