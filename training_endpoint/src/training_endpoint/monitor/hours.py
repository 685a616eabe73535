"""The log of predictions by hour, so that nobody who asks how things are reads its rows."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from psycopg.types.json import Jsonb

from training_endpoint import database
from training_endpoint.data.classifiers import Classifier
from training_endpoint.monitor import reference
from training_endpoint.monitor.estimate import Reference, Summary, confidences, summarise

MOST_ROWS = 20_000
"""Of an hour that are read: more make no estimate better."""
LATE = timedelta(hours=1)
"""Rows of an hour may come so long after its end, from a replica that could not write them."""
MOST_DAYS = 31


@dataclass(frozen=True)
class Hour:
    """What one version answered in one hour; `rows` are all of it, the summary may be of a part."""

    hour: datetime
    version: int
    rows: int
    summary: Summary


def update(url: str, classifier: Classifier, looked: datetime | None = None) -> datetime:
    """Brings the hours up to date; `looked` is what this said before. Raises `DatabaseUnavailable`."""
    now = datetime.now(UTC)
    with database.connect(url) as connection:
        row = connection.execute(database.query("hours_known"), {"classifier": classifier.name}).fetchone()
        known = looked or (row and row["newest"]) or now - timedelta(days=MOST_DAYS)
        since = (known - LATE).replace(minute=0, second=0, microsecond=0)
        asked = {"names": classifier.names, "since": since}
        hours = connection.execute(database.query("log_hours"), asked).fetchall()
        tested = {one: reference.find(connection, classifier.model, one) for one in {row["version"] for row in hours}}
    for row in hours:
        found = tested[row["version"]]
        if found is not None:
            _keep(url, classifier, found, row)
    return now


def since(connection: database.Connection, classifier: Classifier, moment: datetime) -> list[Hour]:
    """From that moment on, the oldest first."""
    asked = {"classifier": classifier.name, "since": moment}
    rows = connection.execute(database.query("hours"), asked)
    return [Hour(row["hour"], row["version"], row["rows"], Summary(**row["found"])) for row in rows]


def labelled(
    connection: database.Connection, classifier: Classifier, moment: datetime
) -> dict[tuple[datetime, int], tuple[int, int]]:
    """By hour and version how many answers feedback has labelled, and how many of them were right."""
    asked = {"names": classifier.names, "since": moment}
    rows = connection.execute(database.query("feedback_hours"), asked)
    return {(row["hour"], row["version"]): (row["labels"], row["right"]) for row in rows}


def _keep(url: str, classifier: Classifier, tested: Reference, row: dict[str, Any]) -> None:
    part = {"names": classifier.names, "version": row["version"], "hour": row["hour"]}
    with database.connect(url) as connection:
        every = -(-row["rows"] // MOST_ROWS)
        found = connection.execute(database.query("log_rows"), {**part, "every": every}).fetchall()
        if not found:
            return
        scores = [list(one["scores"].values()) for one in found]
        widest = max(map(len, scores))
        table = np.array([one + [0.0] * (widest - len(one)) for one in scores], np.float64)
        sure = confidences(table, tested.temperature)
        lengths, classes = [one["length"] for one in found], [one["label"] for one in found]
        pieces = [one["pieces"] for one in found]
        summary = summarise(sure, lengths, classes, tested.threshold, pieces)
        kept = {"classifier": classifier.name, "version": row["version"], "hour": row["hour"], "rows": row["rows"]}
        connection.execute(database.query("hour_keep"), {**kept, "found": Jsonb(asdict(summary))})
