"""The table label_queue.shadows: which version is the shadow of a model, and what became of earlier ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from training_endpoint import database
from training_endpoint.data.classifiers import Classifier
from training_endpoint.judge.evidence import Tally
from training_endpoint.release.ledger import Ruling

Outcome = Literal["promoted", "dropped", "replaced", "ended"]


@dataclass(frozen=True)
class Shadow:
    """A row; `ended_at` is None while it is the shadow."""

    id: int
    model_name: str
    version: int
    champion_version: int
    """Against which it stands, and against none other."""
    labels: list[str]
    began_at: datetime
    seen_at: datetime | None
    seen_request: str | None
    seen_place: int | None
    answered: int
    """Logged texts that it has answered again,"""
    differed: int
    """and on how many of them it differs from the Champion."""
    ended_at: datetime | None
    outcome: Outcome | None
    because: str | None


def current(url: str, model: str) -> Shadow | None:
    """The shadow of a model; None where there is none."""
    return _one(url, "shadow_open", model)


def newest(url: str, model: str) -> Shadow | None:
    """The one that there is, else the last that there was."""
    return _one(url, "shadow_newest", model)


def open_ones(url: str) -> list[Shadow]:
    """Those of all models."""
    with database.connect(url) as connection:
        return [Shadow(**row) for row in connection.execute(database.query("shadows_open"))]


def after_verdict(connection: database.Connection, model: str, ruling: Ruling, labels: Sequence[str]) -> None:
    """What a job's verdict means for the shadow, within the caller's transaction: a new one begins, or there is another
    Champion to stand against. `labels` are the challenger's."""
    challenger = ruling.evidence.get("challenger_version")
    if ruling.shadow:
        end(connection, model, "replaced", f"version {challenger} is the shadow, and right on more test rows")
        values = {"model": model, "version": challenger, "champion": ruling.compared_with, "labels": as_json(labels)}
        connection.execute(database.query("shadow_begin"), values)
    elif ruling.to_version != ruling.compared_with:
        end(connection, model, "ended", another_champion(ruling.to_version))


def as_json(labels: Sequence[str]) -> Jsonb:
    """Names of classes as a column has them."""
    return Jsonb([*labels])


def another_champion(version: int | None) -> str:
    """Why a shadow ends with the Champion that it stood against."""
    return f"version {version} is the Champion now, and what was counted was against another one"


def end(
    connection: database.Connection, model: str, outcome: Outcome, because: str, version: int | None = None
) -> int | None:
    """Ends the shadow, if there is one, and takes back what was to be labelled for it; returns its version.

    `version`: that one alone, not another which has taken its place meanwhile.
    """
    values = {"model": model, "outcome": outcome, "because": because, "version": version}
    row = connection.execute(database.query("shadow_end"), values).fetchone()
    if row is None:
        return None
    withdraw(connection)
    return int(row["version"])


def withdraw(connection: database.Connection) -> None:
    """Nobody needs to label for shadows that have ended."""
    connection.execute(database.query("shadows_withdraw"))


def tally(url: str, classifier: Classifier, shadow: Shadow) -> tuple[Tally, int]:
    """What labels have said so far, and how many texts wait for one."""
    values = {"classifier": classifier.name, "version": shadow.version, "champion": shadow.champion_version}
    with database.connect(url) as connection:
        (row,) = connection.execute(database.query("shadow_tally"), values).fetchall()
    return Tally(row["won"], row["lost"], row["neither"]), int(row["open"])


def _one(url: str, query: str, model: str) -> Shadow | None:
    with database.connect(url) as connection:
        row: dict[str, Any] | None = connection.execute(database.query(query), {"model": model}).fetchone()
    return Shadow(**row) if row else None
