"""Feedback becomes rows: what applications say was right goes into the classifier's training table, each note once.

The row and the note's new state are one transaction, so nothing is lost or done twice, whatever dies in between.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training_endpoint import database
from training_endpoint.data import additions
from training_endpoint.errors import NotWritable, RowRefused
from training_endpoint.settings import Settings

LOOK_S = 2.0
BATCH = 500
STATES = ("waiting", "accepted", "row", "refused", "no_text")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Note:
    """One answer and what was right."""

    id: int
    classifier: str
    text: str
    label: str


def apply(settings: Settings) -> int:
    """Makes rows of all that may become one; returns how many did. Raises `DatabaseUnavailable`."""
    made, done = 0, set[str]()
    states = ["waiting", "accepted"] if settings.feedback_at_once else ["accepted"]
    while True:
        with database.connect(settings.database_url) as connection:
            asked = {"states": states, "but": sorted(done), "most": BATCH}
            notes = [Note(**row) for row in connection.execute(database.query("feedback_ready"), asked)]
            if not notes:
                return made
            rows = _add(connection, notes)
        made += rows
        if rows < len(notes) or len(notes) < BATCH:
            done.add(notes[0].classifier)


def decide(url: str, ids: Sequence[int], accept: bool) -> list[int]:
    """A person's word on notes; returns which it reached: not those that are rows already, or that have no text."""
    with database.connect(url) as connection:
        wanted = {"ids": list(ids), "state": "accepted" if accept else "refused"}
        because = None if accept else "a person refused it"
        rows = connection.execute(database.query("feedback_decide"), {**wanted, "because": because}).fetchall()
    return sorted(row["id"] for row in rows)


def newest(url: str, classifier: str | None, state: str | None, most: int) -> list[dict[str, Any]]:
    """Notes with all that is known of them."""
    with database.connect(url) as connection:
        asked = {"classifier": classifier, "state": state, "most": most}
        return connection.execute(database.query("feedback_newest"), asked).fetchall()


def _add(connection: database.Connection, notes: list[Note]) -> int:
    """Inserts rows of one classifier; returns how many. Those that the table refuses are noted as refused."""
    table = connection.execute(database.query("feedback_table"), {"name": notes[0].classifier}).fetchone()
    if table is None:
        _note(connection, "feedback_became", notes, f"there is no classifier {notes[0].classifier}", state="refused")
        return 0
    try:
        _insert(connection, table, notes)
    except NotWritable as error:
        if _note(connection, "feedback_waits_because", notes, error.message):
            log.warning("feedback waits: %s", error.message)
        return 0
    except RowRefused:
        return _one_by_one(connection, table, notes)
    _note(connection, "feedback_became", notes, None, state="row")
    log.info("%d rows of %s from feedback", len(notes), table["train_table"])
    return len(notes)


def _one_by_one(connection: database.Connection, table: dict[str, Any], notes: list[Note]) -> int:
    made = []
    for note in notes:
        try:
            _insert(connection, table, [note])
            made.append(note)
        except (RowRefused, NotWritable) as error:  # a policy of the table may refuse single rows
            log.warning("feedback %d: %s", note.id, error.message)
            _note(connection, "feedback_became", [note], error.message, state="refused")
    _note(connection, "feedback_became", made, None, state="row")
    return len(made)


def _insert(connection: database.Connection, table: dict[str, Any], notes: list[Note]) -> None:
    columns = table["text_column"], table["label_column"]
    additions.add(connection, table["train_table"], columns, [(note.text, note.label) for note in notes])


def _note(connection: database.Connection, query: str, notes: list[Note], because: str | None, **others: str) -> int:
    asked = {"ids": [note.id for note in notes], "because": because, **others}
    return connection.execute(database.query(query), asked).rowcount
