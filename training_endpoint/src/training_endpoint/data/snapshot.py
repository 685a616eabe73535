"""The rows that one job trains and tests on, read at one moment, and the events that they cover."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

from training_endpoint import database
from training_endpoint.data import classifiers, labels
from training_endpoint.data.classifiers import Classifier
from training_endpoint.data.rows import AT_ONCE, Rows, scratch
from training_endpoint.data.table import Table, beginning, digest
from training_endpoint.errors import DataError, EmptyTable, OneClass

__all__ = ["Rows", "Snapshot", "beginnings", "left_out", "read", "row_hash", "sides"]

NEW_CLASS_ROWS = 10
"""As the setting has it where nothing is set."""
MOST_CLASSES = 1_000
NAMED_CLASSES = 5
"""Of more that wait for rows the first are named."""


@dataclass(frozen=True)
class Snapshot:
    """A classifier's data at one moment; rows are in a fixed order that depends on their content only."""

    name: str
    train_table: str
    test_table: str | None
    """None: one row in five of the training table."""
    text_column: str
    label_column: str
    label_names: list[str]
    train: Rows
    test: Rows
    digest: str
    """sha256 over the rows of both tables, independent of their order there."""
    watermark: str
    """pg_current_snapshot() of the reading transaction."""
    event_ids: list[int] = field(default_factory=list)
    """training_events that were visible and that no earlier successful job covers."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason -> rows left out."""
    cut: int = 0
    """Rows, among those kept, whose text was cut to the longest allowed length."""
    overlap: int = 0
    """Test rows whose text is also in the training rows."""
    alike: list[str] = field(default_factory=list)
    """Sentences on labels that are perhaps one."""


def read(
    url: str,
    max_text_chars: int,
    name: str | None = None,
    new_class_rows: int = NEW_CLASS_ROWS,
    folder: Path | None = None,
) -> Snapshot:
    """Reads a classifier's rows in one REPEATABLE READ, READ ONLY transaction: no writer waits or shows up halfway.

    `name` None means the default classifier. Left out and counted: texts that are null or blank, labels that are null,
    those of a new class that has fewer than `new_class_rows` rows yet, exact repetitions of a row within its table,
    and test rows of a class that no training row has. Texts longer than `max_text_chars` are cut. The texts lie in
    files below `folder` that are gone with the snapshot. Raises `DataError`s with a sentence when what is left cannot
    be trained on.
    """
    with scratch(folder) as place, database.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        classifier = classifiers.find(connection, name)
        moment = connection.execute("SELECT pg_current_snapshot()::text AS watermark").fetchone()
        events = connection.execute(database.query("events_uncovered"), {"name": classifier.name}).fetchall()
        train, test = sides(connection, vars(classifier), max_text_chars, place)
    watermark, event_ids = str(moment and moment["watermark"]), [event["id"] for event in events]
    return _assemble(classifier, train, test, new_class_rows, watermark, event_ids)


def sides(
    connection: database.Connection, recorded: Mapping[str, Any], limit: int, folder: Path
) -> tuple[Table, Table]:
    """The training and the test rows; `recorded` has train_table, test_table, text_column and label_column.

    Without a test table they are two parts of the same one: which a row is in, its text alone decides.
    """
    one, other = recorded["train_table"], recorded["test_table"]
    columns = recorded["text_column"], recorded["label_column"]
    held_out = (None, None) if other else (False, True)
    train, test = (
        Table(connection, split, table, *columns, limit, folder / split, held)
        for split, table, held in zip(("train", "test"), (one, other or one), held_out, strict=True)
    )
    return train, test


def left_out(dropped: dict[str, int]) -> str:
    """For people and verdicts: `left out: 3 rows with unknown label, 1 with blank text`; '' where no row was."""
    counts = [f"{count:,} {reason}" for reason, count in dropped.items() if count]
    return f"left out: {', '.join(counts)}" if counts else ""


def row_hash(split: str, text: str, label: str) -> bytes:
    """What identifies a row by its content: sha256 over split, label and text."""
    return hashlib.sha256(beginning(split, label) + text.encode()).digest()


def beginnings(split: str, rows: Rows, label_names: Sequence[str]) -> npt.NDArray[np.uint64]:
    """The first eight bytes of each row's hash, as numbers, the most significant byte first."""
    if rows.hashes is not None:
        return rows.hashes
    names = [label_names[label] for label in rows.labels]
    whole = (row_hash(split, text, name)[:8] for text, name in zip(rows.texts, names, strict=True))
    return np.frombuffer(b"".join(whole), ">u8").astype(np.uint64)


def _assemble(
    classifier: Classifier, train: Table, test: Table, new_class_rows: int, watermark: str, event_ids: list[int]
) -> Snapshot:
    """Checks the rows of both sides against each other and puts them into their order."""
    alike = [*labels.alike(train.counts), *labels.trimmed(+(train.trimmed + test.trimmed))]
    held_out = len(test)
    known = _known(classifier, train, test, new_class_rows)
    if not len(train) and classifier.test_table is None and held_out:
        raise EmptyTable(
            f"All {held_out:,} usable rows of {train.name} are held out for the test, as one text in five is: insert "
            "rows with other texts."
        )
    if not len(train):
        raise EmptyTable(f"Table {train.name} has no usable row ({_why_none(train.dropped)}): insert labelled texts.")
    classes = {label for label, rows in train.counts.items() if rows}
    if len(classes) == 1:
        raise OneClass(f"All rows of {train.name} are labelled {classes.pop()!r}: insert rows of another class.")
    test.keep(classes, {}, "test label not in train")
    if not len(test):
        if classifier.test_table is None:
            raise EmptyTable(
                f"One text in five of {test.name} is held out for the test, and none of its usable rows is among them "
                f"({len(train):,} rows, {_reasons(test.dropped) or 'too few'}): insert more labelled texts."
            )
        raise EmptyTable(f"Table {test.name} has no usable row ({_why_none(test.dropped)}): insert labelled texts.")
    own_names = [label for label in known if label in classes]
    proof = digest([train, test])
    train_rows, test_rows = train.rows(own_names), test.rows(own_names)
    return Snapshot(
        name=classifier.name,
        train_table=train.name,
        test_table=classifier.test_table,
        text_column=classifier.text_column,
        label_column=classifier.label_column,
        label_names=own_names,
        train=train_rows,
        test=test_rows,
        digest=proof,
        watermark=watermark,
        event_ids=event_ids,
        dropped=dict(+(train.dropped + test.dropped)),
        cut=train.cut + test.cut,
        overlap=_overlap(train_rows, test_rows),
        alike=alike,
    )


def _overlap(train: Rows, test: Rows) -> int:
    """Test rows whose text is also in the training rows; texts are told apart by 64 bits."""
    sought, place = np.unique(np.fromiter(map(hash, test.texts), np.int64, len(test)), return_inverse=True)
    found = np.zeros(len(sought), bool)
    for start in range(0, len(train), AT_ONCE):
        some = train.texts[start : start + AT_ONCE]
        hashes = np.fromiter(map(hash, some), np.int64, len(some))
        at = np.minimum(np.searchsorted(sought, hashes), len(sought) - 1)
        found[at[sought[at] == hashes]] = True
    return int(found[place].sum())


def _known(classifier: Classifier, train: Table, test: Table, new_class_rows: int) -> list[str]:
    """The classes: those learned before, then those that are learned now; rows of others are left out of both sides.

    Before anything was learned, every class is there to be learned.
    """
    known = labels.label_names(classifier.labels)
    enough = new_class_rows if known else 1
    new = sorted(label for label, rows in train.counts.items() if rows and label not in known)
    learned = [label for label in new if train.counts[label] >= enough]
    if len(known) + len(learned) > MOST_CLASSES:
        raise DataError(
            f"Column {classifier.label_column!r} of {train.name} has more than {MOST_CLASSES:,} different values: is "
            "it the label?"
        )
    reason = "of the new class {!r}, which is learned from " + str(enough) + " training rows on"
    waiting = {label: reason.format(label) for label in new if label not in learned}
    named = dict(list(waiting.items())[:NAMED_CLASSES])
    train.keep({*known, *learned}, named)
    # Apart, for they do not count for it.
    test.keep({*known, *learned}, {label: f"of the new class {label!r}, among the test rows" for label in named})
    return [*known, *learned]


def _reasons(dropped: Counter[str]) -> str:
    return ", ".join(f"{count} with {reason}" for reason, count in dropped.items() if count)


def _why_none(dropped: Counter[str]) -> str:
    return _reasons(dropped) or "it is empty"
