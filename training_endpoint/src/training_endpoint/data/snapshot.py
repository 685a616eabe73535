"""The rows that one job trains and tests on, read at one moment, and the events that they cover."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from training_endpoint import database
from training_endpoint.data.labels import label_names
from training_endpoint.errors import DataError, EmptyTable, MissingColumn, MissingTable, NoDataset, OneClass

FETCH_ROWS = 2_000


@dataclass(frozen=True)
class Rows:
    """Texts and, in the same order, their labels as indexes into `Snapshot.label_names`."""

    texts: list[str]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Snapshot:
    """The current dataset at one moment; rows are in a fixed order that depends on their content only."""

    name: str
    train_table: str
    test_table: str
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


def read(url: str, max_text_chars: int) -> Snapshot:
    """Reads the current dataset in one REPEATABLE READ, READ ONLY transaction: no writer waits or shows up halfway.

    Left out and counted: texts that are null or blank, labels that are null or not among the dataset's, exact
    repetitions of a row within its table, and test rows of a class that no training row has. Texts longer than
    `max_text_chars` are cut. Raises `DataError`s with a sentence when what is left cannot be trained on.
    """
    with database.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        dataset = connection.execute(database.query("dataset_current")).fetchone()
        if dataset is None:
            raise NoDataset("No dataset has been imported: POST /datasets imports the one that DATASET names.")
        tables = [dataset["train_table"], dataset["test_table"]]
        moment = connection.execute("SELECT pg_current_snapshot()::text AS watermark").fetchone()
        events = connection.execute(database.query("events_uncovered"), {"tables": tables}).fetchall()
        train, test = (Table(connection, dataset, table, max_text_chars) for table in tables)
    return _assemble(dataset, train, test, str(moment and moment["watermark"]), [event["id"] for event in events])


def left_out(dropped: dict[str, int]) -> str:
    """For people and verdicts: `left out: 3 rows with unknown label, 1 with blank text`; '' where no row was."""
    counts = [f"{count:,} {reason}" for reason, count in dropped.items() if count]
    return f"left out: {', '.join(counts)}" if counts else ""


def row_hash(split: str, text: str, label: str) -> bytes:
    """What identifies a row by its content: sha256 over split, label and text."""
    return hashlib.sha256("\0".join((split, label, text)).encode()).digest()


def digest_of(hashes: list[bytes]) -> str:
    """sha256 over sorted row hashes, so that the order of the rows does not matter."""
    return hashlib.sha256(b"".join(sorted(hashes))).hexdigest()


class Table:
    """One table's usable rows, a set of (text, label), and the count of the others by reason.

    `dataset` has text_column, label_column and labels; rows with other labels are left out.
    """

    def __init__(self, connection: database.Connection, dataset: dict[str, Any], table: str, limit: int) -> None:
        self.name = table
        self.rows: set[tuple[str, str]] = set()
        self.dropped: Counter[str] = Counter()
        self.cut = 0
        text, label = dataset["text_column"], dataset["label_column"]
        name = check_columns(connection, table, text, label)
        known = set(label_names(dataset["labels"]))
        for row in _stream(connection, name, text, label, limit):
            self._add(row["text"], row["label"], known, limit)

    def _add(self, text: str | None, label: str | None, known: set[str], limit: int) -> None:
        if text is None:
            self.dropped["null text"] += 1
        elif not text.strip():
            self.dropped["blank text"] += 1
        elif not (label := (label or "").strip()):
            self.dropped["null label"] += 1
        elif label not in known:
            self.dropped["unknown label"] += 1
        elif (text[:limit], label) in self.rows:
            self.dropped["repeated row"] += 1
        else:
            self.cut += len(text) > limit
            self.rows.add((text[:limit], label))


def check_columns(connection: database.Connection, table: str, text: str, label: str) -> str:
    """The table's name as SQL; raises `MissingTable`, `MissingColumn` or `DataError` unless it has both columns."""
    found = connection.execute("SELECT to_regclass(%s)::text AS name", [table]).fetchone()
    if not (found and found["name"]):
        raise MissingTable(f"Table {table} is gone: restore it, or import a dataset with POST /datasets.")
    columns = connection.execute(database.query("columns"), {"table": table}).fetchall()
    types = {column["name"]: column["type"] for column in columns}
    for column in (text, label):
        if column not in types:
            raise MissingColumn(f"Table {table} has no column {column!r}; it has {', '.join(types)}. Rename it back.")
        if types[column] == "bytea":
            raise DataError(f"Column {column!r} of table {table} holds bytes (bytea): it must hold text.")
    return str(found["name"])


def _stream(connection: database.Connection, table: str, text: str, label: str, limit: int) -> Iterator[dict[str, Any]]:
    name = sql.SQL(table)  # regclass printed it, quoted where it must be
    query = database.query("rows").format(
        text=sql.Identifier(text), label=sql.Identifier(label), table=name, limit=sql.Literal(limit)
    )
    with connection.cursor(name="snapshot_rows") as cursor:
        cursor.itersize = FETCH_ROWS
        cursor.execute(query)
        yield from cursor


def _assemble(dataset: dict[str, Any], train: Table, test: Table, watermark: str, event_ids: list[int]) -> Snapshot:
    """Checks the rows of both tables against each other and puts them into their order."""
    dropped = train.dropped + test.dropped
    if not train.rows:
        raise EmptyTable(f"Table {train.name} has no usable row ({_reasons(train.dropped)}): insert labelled texts.")
    classes = {label for _, label in train.rows}
    if len(classes) == 1:
        raise OneClass(f"All rows of {train.name} are labelled {classes.pop()!r}: insert rows of another class.")
    kept = {row for row in test.rows if row[1] in classes}
    if len(kept) < len(test.rows):
        dropped["test label not in train"] += len(test.rows) - len(kept)
    if not kept:
        raise EmptyTable(f"Table {test.name} has no usable row ({_reasons(test.dropped)}): insert labelled texts.")
    own_names = [label for label in label_names(dataset["labels"]) if label in classes]
    train_rows, train_hashes = _ordered("train", train.rows, own_names)
    test_rows, test_hashes = _ordered("test", kept, own_names)
    train_texts = set(train_rows.texts)
    return Snapshot(
        name=dataset["name"],
        train_table=train.name,
        test_table=test.name,
        text_column=dataset["text_column"],
        label_column=dataset["label_column"],
        label_names=own_names,
        train=train_rows,
        test=test_rows,
        digest=digest_of(train_hashes + test_hashes),
        watermark=watermark,
        event_ids=event_ids,
        dropped=dict(dropped),
        cut=train.cut + test.cut,
        overlap=sum(text in train_texts for text in test_rows.texts),
    )


def _ordered(split: str, rows: set[tuple[str, str]], label_names: list[str]) -> tuple[Rows, list[bytes]]:
    """Rows by their hashes: an order that looks shuffled and is the same wherever the rows stand in the table."""
    hashed = sorted((row_hash(split, text, label), text, label) for text, label in rows)
    index = {name: number for number, name in enumerate(label_names)}
    return Rows([row[1] for row in hashed], [index[row[2]] for row in hashed]), [row[0] for row in hashed]


def _reasons(dropped: Counter[str]) -> str:
    return ", ".join(f"{count} with {reason}" for reason, count in dropped.items()) or "it is empty"
