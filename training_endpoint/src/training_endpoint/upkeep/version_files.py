"""Files of versions: of rejected ones beyond the newest few, of former Champions beyond KEEP_VERSIONS.

The training database decides and notes first, so that nobody asks for what is about to go; then MLflow deletes, as
often as it takes. Verdict, lineage, metrics and tags stay.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from training_endpoint import database
from training_endpoint.errors import UnknownVersion
from training_endpoint.release import alias, artifacts
from training_endpoint.release.fleet import Fleet
from training_endpoint.settings import Settings
from training_endpoint.upkeep.removal import Removal

STAYS = ("verdict",)
TAG = "files"


def removals(settings: Settings, urgent: bool) -> Iterator[Removal]:
    """What was begun and not ended comes first; `urgent` asks for no age of rejected versions."""
    with database.connect(settings.database_url) as connection:
        begun = connection.execute(database.query("versions_begun")).fetchall()
        kept = connection.execute(database.query("versions_kept")).fetchall()
    for row in begun:
        yield Removal(_what(row), row["removed_because"], partial(_delete, settings, row))
    served = _served(settings) if kept else set()
    young = datetime.now(UTC) - timedelta(hours=0 if urgent else settings.keep_rejected_hours)
    for row in kept:
        because = _because(settings, row, young)
        if because and (row["name"], row["version"]) not in served:
            yield Removal(_what(row), because, partial(_remove, settings, row, because))


def _what(row: dict[str, Any]) -> str:
    return f"files of version {row['version']} of {row['name']}"


def _because(settings: Settings, row: dict[str, Any], young: datetime) -> str:
    if row["champion"]:
        above = row["place"] > settings.keep_versions
        return f"Champion before the newest {settings.keep_versions}" if above else ""
    if row["place"] > settings.keep_rejected_versions and row["registered_at"] <= young:
        return f"rejected, and not among the newest {settings.keep_rejected_versions}"
    return ""


def _served(settings: Settings) -> set[tuple[str, int]]:
    """What replicas serve now, whatever was decided."""
    told = Fleet(settings).look().values()
    return {(str(one.get("name", settings.model_name)), int(one["version"])) for one in told if one.get("version")}


def _remove(settings: Settings, row: dict[str, Any], because: str) -> bool:
    with database.connect(settings.database_url) as connection:
        given = {"name": row["name"], "version": row["version"], "because": because}
        removed = connection.execute(database.query("version_remove"), given).fetchone()
    return bool(removed and removed["removed"]) and _delete(settings, {**row, "removed_because": because})


def _delete(settings: Settings, row: dict[str, Any]) -> bool:
    for name in artifacts.entries(settings, row["root"]):
        if name not in STAYS:
            artifacts.delete(settings, f"{row['root']}/{name}")
    said = f"removed at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {row['removed_because']}"
    tag = {"name": row["name"], "version": str(row["version"]), "key": TAG, "value": said}
    with suppress(UnknownVersion):  # somebody deleted the version in MLflow
        alias.call(settings, "POST", "model-versions/set-tag", tag)
    with database.connect(settings.database_url) as connection:
        connection.execute(database.query("version_gone"), {"name": row["name"], "version": row["version"]})
    return True
