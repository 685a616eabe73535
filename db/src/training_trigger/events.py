"""The relay's view of the training database: what is pending, what is claimed, what Airflow accepted."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from psycopg.rows import dict_row

PRUNE_BATCH = 5000


@dataclass(frozen=True)
class Pending:
    """Of one classifier: ages in seconds of the oldest and the newest pending event, and the rows that all changed."""

    oldest_age: float
    newest_age: float
    rows: int
    classifier: str = ""
    is_default: bool = False


@dataclass(frozen=True)
class Delivery:
    """One run that Airflow is to accept, under an id that never changes."""

    dag_run_id: str
    conf: dict[str, Any]


@dataclass(frozen=True)
class Backlog:
    """Events that wait for a run that Airflow accepts, and the age of the oldest in seconds.

    `untrained` is what ended runs left behind: events, rows, since, because, given_up, retry_at; None when nothing is.
    `of_none` is what belongs to no classifier: events, since, tables; None when nothing does.
    `troubles` are classifiers whose changes start no run: classifier, table, because, heal; None when there is none.
    """

    events: int
    oldest_age: float
    untrained: dict[str, Any] | None = None
    of_none: dict[str, Any] | None = None
    troubles: list[dict[str, str]] | None = None


@dataclass(frozen=True)
class OpenRun:
    """An accepted run that may be over, and how its job ended; no status: it has none (yet)."""

    dag_run_id: str
    status: str | None
    error: str | None


def connect(url: str) -> psycopg.Connection[dict[str, Any]]:
    """A connection that notices a dead server within seconds. Raises psycopg.OperationalError."""
    return psycopg.connect(
        url,
        autocommit=True,
        row_factory=dict_row,
        connect_timeout=5,
        application_name="training-trigger",
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=20_000,
    )


class Events:
    """Every statement is its own transaction; all methods raise psycopg.Error when the database is away."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self._connection = connection

    def lead(self) -> bool:
        """True when this connection is the one that leads, from now until it ends.

        The lock belongs to a transaction, so a connection that leads does nothing else. It holds no snapshot, so
        nothing is kept from being vacuumed.
        """
        self._connection.autocommit = False
        try:
            self._run("lead")
        except psycopg.errors.LockNotAvailable:
            self._connection.rollback()
            return False
        return True

    def leads(self) -> None:
        """Raises psycopg.Error when this connection, and its lock with it, is gone."""
        self._connection.execute("SELECT 1")

    def sort(self) -> set[str]:
        """Finds out to which classifiers new events belong; returns the tables of those that belong to none."""
        return {row["table_name"] for row in self._run("sort") if not row["classifier"]}

    def pending(self) -> list[Pending]:
        """What is pending, by classifier, the one that has waited longest first."""
        return [Pending(**row) for row in self._run("pending")]

    def claimed(self) -> Delivery | None:
        """The oldest delivery that was claimed and not yet seen accepted: by an earlier life, or in vain."""
        row = self._row("claimed")
        return Delivery(**row) if row else None

    def claim(self, classifier: str) -> Delivery | None:
        """Claims all pending events of a classifier for one new delivery; None when there are none."""
        row = self._row("claim", classifier=classifier)
        return Delivery(**row) if row else None

    def accepted(self, delivery: Delivery) -> None:
        self._run("accepted", dag_run_id=delivery.dag_run_id)

    def failed(self, delivery: Delivery, error: str) -> None:
        self._run("failed", dag_run_id=delivery.dag_run_id, error=error)

    def open_runs(self) -> list[OpenRun]:
        """Some accepted runs whose end has not been noted yet."""
        return [OpenRun(**row) for row in self._run("open_runs").fetchall()]

    def ended(self, dag_run_id: str, because: str | None, limit: int, pause: float) -> int:
        """Notes a run's end; returns how many events it left untrained, which are pending again.

        `because` says why, None that it succeeded. After `limit` runs an event is given up; the first pause
        is `pause` seconds.
        """
        return self._end("accepted", dag_run_id, because, limit, pause)

    def refused(self, delivery: Delivery, because: str, limit: int, pause: float) -> int:
        """As `ended`, for a claimed delivery that Airflow will never accept as it is."""
        self.failed(delivery, because)
        return self._end("claimed", delivery.dag_run_id, because, limit, pause)

    def forget_trained(self) -> None:
        """Forgets what was left untrained and has been covered since."""
        self._run("forget_trained")

    def backlog(self) -> Backlog:
        return Backlog(**self._one("backlog"))

    def prune(self, days: float) -> int:
        """Removes up to PRUNE_BATCH covered events older than `days` and returns how many.

        With the last of them go the deliveries that have no event left.
        """
        seconds = days * 86_400
        events = self._run("prune_events", seconds=seconds, batch=PRUNE_BATCH).rowcount
        if events < PRUNE_BATCH:
            self._run("prune_deliveries", seconds=seconds)
        return events

    def keep_days(self, days: int) -> str | None:
        """Makes the log's days ahead; returns the one older than `days` that it dropped, None when there is none."""
        return self._one("keep_days", days=days)["day"]  # type: ignore[no-any-return] # text

    def _end(self, state: str, dag_run_id: str, because: str | None, limit: int, pause: float) -> int:
        values = {"state": state, "dag_run_id": dag_run_id, "because": because, "limit": limit, "pause": pause}
        return self._run("ended", **values).rowcount

    def _run(self, query: str, **values: object) -> psycopg.Cursor[dict[str, Any]]:
        return self._connection.execute(_sql(query), values or None)

    def _row(self, query: str, **values: object) -> dict[str, Any] | None:
        return self._run(query, **values).fetchone()

    def _one(self, query: str, **values: object) -> dict[str, Any]:
        row = self._row(query, **values)
        if row is None:
            raise psycopg.DatabaseError(f"{query}.sql returned no row")
        return row


@cache
def _sql(query: str) -> bytes:
    return files(__package__).joinpath(f"sql/{query}.sql").read_bytes()
