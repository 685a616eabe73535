"""Jobs that ended long ago, each with its run and version in MLflow. A version that still has files keeps its run."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from training_endpoint import database
from training_endpoint.errors import UnknownVersion
from training_endpoint.release import alias, artifacts
from training_endpoint.settings import Settings
from training_endpoint.upkeep.removal import Removal


def removals(settings: Settings) -> Iterator[Removal]:
    """The oldest first."""
    with database.connect(settings.database_url) as connection:
        given = {"seconds": settings.keep_runs_days * 86_400}
        rows = connection.execute(database.query("runs_old"), given).fetchall()
    because = f"ended more than {settings.keep_runs_days:g} days ago"
    for row in rows:
        yield Removal(f"job of {row['run_id']}", because, partial(_remove, settings, row))


def _remove(settings: Settings, row: dict[str, Any]) -> bool:
    """MLflow first, the row of the job last: what fails in between is done again."""
    if row["version"] is not None:
        model = str(row["root"]).split("/models/")[-1].partition("/")[0]
        artifacts.delete(settings, row["root"])
        with suppress(UnknownVersion):
            version = {"name": row["name"], "version": str(row["version"])}
            alias.call(settings, "DELETE", "model-versions/delete", version)
        with suppress(UnknownVersion):
            alias.call(settings, "DELETE", f"logged-models/{model}", {})
    if row["mlflow_run_id"]:
        with suppress(UnknownVersion):
            run = alias.call(settings, "GET", "runs/get", {"run_id": row["mlflow_run_id"]})["run"]["info"]
            artifacts.delete(settings, f"{run['experiment_id']}/{run['run_id']}")
            alias.call(settings, "POST", "runs/delete", {"run_id": row["mlflow_run_id"]})
    with database.connect(settings.database_url) as connection:
        connection.execute(database.query("run_forget"), {"job_id": row["job_id"]})
    return True
