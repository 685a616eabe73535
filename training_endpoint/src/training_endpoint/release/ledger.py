"""The append-only record of every decision about the alias."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from psycopg.types.json import Jsonb

from training_endpoint import database
from training_endpoint.errors import JobEnded
from training_endpoint.judge.looks import Looks, fresh

LOCK = 7_314_002


@contextmanager
def alone(connection_url: str) -> Iterator[None]:
    """Nobody else decides meanwhile: what is read about the alias inside still holds when it is moved there."""
    with database.connect(connection_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        yield


def of_job(connection_url: str, job_id: str) -> dict[str, Any] | None:
    """What a job has decided already: {"to_version", "newest"}, newest when nobody decided after it; None before."""
    with database.connect(connection_url) as connection:
        return connection.execute(database.query("ledger_of_job"), {"job_id": job_id}).fetchone()


def looks(connection_url: str, model_name: str, rows: Mapping[str, Any], champion_version: int) -> Looks:
    """What the decisions so far say about `rows`, the sketches of a challenger's: `judge.looks` explains it."""
    with database.connect(connection_url) as connection:
        given = {"model_name": model_name, "test": rows["test"], "version": champion_version}
        counted = connection.execute(database.query("ledger_looks"), given).fetchone()
        champions = connection.execute(database.query("ledger_rows_of"), given).fetchone()
    return Looks(counted["earlier"] if counted else 0, fresh(rows["train"], champions and champions["rows"]))


def record(
    connection_url: str,
    *,
    who: str,
    model_name: str,
    from_version: int | None,
    to_version: int | None,
    verdict: str,
    reason: str,
    evidence: dict[str, Any],
    job_id: str | None,
) -> int:
    """Writes one row and returns its id. Write it before the alias moves: a move without a record must not be.

    Raises `JobEnded` when `job_id` is no longer running: a job cancelled at the last moment promotes nothing.
    """
    row = {
        "who": who,
        "model_name": model_name,
        "from_version": from_version,
        "to_version": to_version,
        "verdict": verdict,
        "reason": reason,
        "evidence": Jsonb(evidence),
        "job_id": job_id,
    }
    with database.connect(connection_url) as connection:
        inserted = connection.execute(database.query("ledger_insert"), row).fetchone()
    if inserted is None:
        raise JobEnded(f"Job {job_id} is no longer running, so it decides nothing.")
    return int(inserted["id"])
