"""The ledger: a row for each decision on what is served, in the table promotion_ledger. The newest is the truth."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from mlops_contract.words import Verdict
from training_endpoint import database
from training_endpoint.errors import ChampionChanged, FilesRemoved, JobEnded, LedgerBusy, NoShadow, UnknownVersion
from training_endpoint.judge.looks import Looks, fresh, replaced

SHADOW_DROPPED = "shadow_dropped"
"""The verdict on a shadow that labels have shown to be worse than the Champion."""


@dataclass(frozen=True)
class Decision:
    """A row: who decided what, and when it took effect in MLflow (`alias_at`) and on the replicas (`served_at`)."""

    id: int
    at: datetime
    who: str
    model_name: str
    from_version: int | None
    to_version: int | None
    verdict: str
    reason: str
    evidence: dict[str, Any]
    job_id: str | None
    pinned: bool
    """Whether a person holds the version: no verdict of training moves it then."""
    alias_at: datetime | None
    served_at: datetime | None


@dataclass(frozen=True)
class Ruling:
    """What a job's verdict wants of the ledger, and the Champion that it was made against."""

    compared_with: int | None
    was_pinned: bool
    to_version: int | None
    verdict: str
    reason: str
    evidence: dict[str, Any]
    shadow: bool = False
    """Whether the challenger is the shadow from now on."""


def newest(url: str, model_name: str) -> Decision | None:
    """The decision in force; None before the first."""
    found = history(url, model_name, 1)
    return found[0] if found else None


def history(url: str, model_name: str, limit: int) -> list[Decision]:
    """The newest `limit` decisions, newest first."""
    with database.connect(url) as connection:
        rows = connection.execute(database.query("ledger_history"), {"model_name": model_name, "limit": limit})
        return [Decision(**row) for row in rows]


def champions(url: str, model_name: str) -> list[int]:
    """Every version that was Champion, the present one first."""
    with database.connect(url) as connection:
        rows = connection.execute(database.query("ledger_champions"), {"model_name": model_name})
        return [row["version"] for row in rows]


def reason_of(url: str, model_name: str, version: int) -> Decision | None:
    """The decision that made `version` the Champion, the newest where there were several."""
    with database.connect(url) as connection:
        query = database.query("ledger_reason")
        row = connection.execute(query, {"model_name": model_name, "version": version}).fetchone()
    return Decision(**row) if row else None


def looks(url: str, model_name: str, rows: Mapping[str, Any], champion_version: int) -> Looks:
    """What the decisions so far say about `rows`, the sketches of a challenger's: `judge.looks` explains it."""
    with database.connect(url) as connection:
        given = {"model_name": model_name, "test": rows["test"], "version": champion_version}
        counted = connection.execute(database.query("ledger_looks"), given).fetchone()
        champions = connection.execute(database.query("ledger_rows_of"), given).fetchone()
    before = champions and champions["rows"]
    return Looks(counted["earlier"] if counted else 0, fresh(rows["train"], before), replaced(rows["test"], before))


def decide_for_job(connection: database.Connection, model_name: str, job_id: str, ruling: Ruling) -> None:
    """Writes a job's verdict within the caller's transaction.

    Raises `ChampionChanged` when it was made against another Champion or pin, `JobEnded` when the job does not run.
    """
    values = {**vars(ruling), "evidence": Jsonb(ruling.evidence), "job_id": job_id, "model_name": model_name}
    with _explained():
        connection.execute(database.query("ledger_decide_for_job"), values)


def decide_by_hand(
    url: str,
    model_name: str,
    who: str,
    verdict: str,
    reason: str,
    *,
    to_version: int | None,
    pinned: bool,
    after: int | None = None,
) -> Decision:
    """Writes a person's decision, and returns it; without `to_version` the Champion stays what it is.

    Raises `UnknownVersion` for a version that training did not register, `ChampionChanged` where the decision before
    is another one than `after`.
    """
    values = {"who": who, "model_name": model_name, "verdict": verdict, "reason": reason}
    with _explained(), database.connect(url) as connection:
        query = database.query("ledger_decide_by_hand")
        connection.execute(query, {**values, "to_version": to_version, "pinned": pinned})
        # The ledger stays locked until the end of this transaction.
        two = connection.execute(database.query("ledger_newest_two"), {"model_name": model_name}).fetchall()
        if after is not None and after not in [row["id"] for row in two[1:]]:
            raise ChampionChanged("Somebody has decided since you looked: look at the newest decision first.")
    decided = newest(url, model_name)
    assert decided is not None  # noqa: S101 - it was just written, and rows stay
    return decided


def decide_by_labels(
    connection: database.Connection,
    model_name: str,
    version: int,
    compared_with: int,
    promotes: bool,
    reason: str,
    evidence: dict[str, Any],
) -> None:
    """Writes what labels have decided about a shadow, and ends it, within the caller's transaction.

    Raises `ChampionChanged` when it is another one than `compared_with`, or is pinned, `NoShadow` when it ended before.
    """
    verdict = Verdict.PROMOTED if promotes else SHADOW_DROPPED
    values = {"model_name": model_name, "version": version, "compared_with": compared_with, "promotes": promotes}
    with _explained():
        query = database.query("ledger_decide_by_labels")
        connection.execute(query, {**values, "verdict": verdict, "reason": reason, "evidence": Jsonb(evidence)})


def took_effect(url: str, decision: Decision, place: str) -> None:
    """Notes that `decision` took effect in `place`: alias or served."""
    with database.connect(url) as connection:
        connection.execute(database.query("ledger_took_effect"), {"id": decision.id, "place": place})


def breaks(url: str) -> list[int]:
    """The rows that do not follow from the row before them; none in a ledger that nobody tampered with."""
    with database.connect(url) as connection:
        return [row["id"] for row in connection.execute(database.query("ledger_breaks"))]


def head(url: str) -> dict[str, Any]:
    """{"rows", "hash"}: how long the chain is, and the hash of its newest row."""
    with database.connect(url) as connection:
        return connection.execute(database.query("ledger_head")).fetchone() or {}


@contextmanager
def _explained() -> Iterator[None]:
    """The database's refusals as errors of ours."""
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise LedgerBusy("Another decision is being written for a long time: try again.") from error
    except psycopg.Error as error:
        message = error.diag.message_primary or "no detail"
        if error.sqlstate == "LG001":
            raise ChampionChanged(message) from error
        if error.sqlstate == "LG002":
            raise JobEnded(f"{message}: it decides nothing.") from error
        if error.sqlstate == "LG003":
            raise UnknownVersion(
                f"{message}: only such a version can be served. sh launch.sh history names some."
            ) from error
        if error.sqlstate == "LG005":
            raise NoShadow(f"{message}: nothing is to be decided.") from error
        if error.sqlstate == "LG004":
            raise FilesRemoved(f"{message}: it cannot be served any more. Train again, or promote another.") from error
        raise
