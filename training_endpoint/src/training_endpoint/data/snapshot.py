"""The rows that one job trains and tests on, read at one moment, and the events that they cover."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from training_endpoint import database
from training_endpoint.data import classifiers, labels
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import DataError, EmptyTable, MissingColumn, MissingTable, OneClass

FETCH_ROWS = 2_000
NEW_CLASS_ROWS = 10
"""As the setting has it where nothing is set."""
MOST_CLASSES = 1_000
NAMED_CLASSES = 5
"""Of more that wait for rows the first are named."""


@dataclass(frozen=True)
class Rows:
    """Texts and, in the same order, their labels as indexes into `Snapshot.label_names`."""

    texts: list[str]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.texts)


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


def read(url: str, max_text_chars: int, name: str | None = None, new_class_rows: int = NEW_CLASS_ROWS) -> Snapshot:
    """Reads a classifier's rows in one REPEATABLE READ, READ ONLY transaction: no writer waits or shows up halfway.

    `name` None means the default classifier. Left out and counted: texts that are null or blank, labels that are null,
    those of a new class that has fewer than `new_class_rows` rows yet, exact repetitions of a row within its table,
    and test rows of a class that no training row has. Texts longer than `max_text_chars` are cut. Raises `DataError`s
    with a sentence when what is left cannot be trained on.
    """
    with database.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        classifier = classifiers.find(connection, name)
        moment = connection.execute("SELECT pg_current_snapshot()::text AS watermark").fetchone()
        events = connection.execute(database.query("events_uncovered"), {"name": classifier.name}).fetchall()
        train, test = sides(connection, vars(classifier), max_text_chars)
    watermark, event_ids = str(moment and moment["watermark"]), [event["id"] for event in events]
    return _assemble(classifier, train, test, new_class_rows, watermark, event_ids)


def sides(connection: database.Connection, recorded: Mapping[str, Any], limit: int) -> tuple["Table", "Table"]:
    """The training and the test rows; `recorded` has train_table, test_table, text_column and label_column.

    Without a test table they are two parts of the same one: which a row is in, its text alone decides.
    """
    table, test = recorded["train_table"], recorded["test_table"]
    columns = recorded["text_column"], recorded["label_column"]
    if test is None:
        return tuple(Table(connection, table, *columns, limit, held_out) for held_out in (False, True))  # type: ignore[return-value] # of two
    return Table(connection, table, *columns, limit), Table(connection, test, *columns, limit)


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
    """A table's usable rows, texts by label, and the count of the others by reason; `held_out` takes one side of it."""

    def __init__(
        self,
        connection: database.Connection,
        table: str,
        text: str,
        label: str,
        limit: int,
        held_out: bool | None = None,
    ) -> None:
        self.name = table
        self.texts: dict[str, set[str]] = defaultdict(set)
        self.dropped: Counter[str] = Counter()
        self.trimmed: Counter[str] = Counter()
        """Rows by the label that they write with blanks around it."""
        self.cut = 0
        name = check_columns(connection, table, text, label)
        for row in _stream(connection, name, text, label, limit, held_out):
            self._add(row["text"], row["label"], limit)

    @property
    def rows(self) -> set[tuple[str, str]]:
        """(text, label) of each."""
        return {(text, label) for label, texts in self.texts.items() for text in texts}

    def keep(self, labels: Collection[str], reasons: Mapping[str, str]) -> None:
        """Leaves out the rows of other labels, for `reasons` by label, else as of an unknown one."""
        for label in [label for label in self.texts if label not in labels]:
            self.dropped[reasons.get(label, "unknown label")] += len(self.texts.pop(label))

    def _add(self, text: str | None, written: str | None, limit: int) -> None:
        if text is None:
            self.dropped["null text"] += 1
        elif not text.strip():
            self.dropped["blank text"] += 1
        elif not (label := (written or "").strip()):
            self.dropped["null label"] += 1
        elif text[:limit] in self.texts[label]:
            self.dropped["repeated row"] += 1
        else:
            self.cut += len(text) > limit
            self.trimmed[label] += label != written
            self.texts[label].add(text[:limit])


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


def _stream(
    connection: database.Connection, table: str, text: str, label: str, limit: int, held_out: bool | None
) -> Iterator[dict[str, Any]]:
    columns = {"text": sql.Identifier(text), "label": sql.Identifier(label)}
    side: sql.Composable = sql.SQL("true")
    if held_out is not None:
        side = database.query("held_out").format(**columns)
        side = side if held_out else sql.SQL("NOT ({})").format(side)
    # regclass printed the table's name, quoted where it must be
    query = database.query("rows").format(**columns, table=sql.SQL(table), limit=sql.Literal(limit), side=side)
    with connection.cursor(name="snapshot_rows") as cursor:
        cursor.itersize = FETCH_ROWS
        cursor.execute(query)
        yield from cursor


def _assemble(
    classifier: Classifier, train: Table, test: Table, new_class_rows: int, watermark: str, event_ids: list[int]
) -> Snapshot:
    """Checks the rows of both sides against each other and puts them into their order."""
    counts = {label: len(texts) for label, texts in train.texts.items()}
    alike = [*labels.alike(counts), *labels.trimmed(+(train.trimmed + test.trimmed))]
    known = _known(classifier, train, test, new_class_rows)
    dropped = train.dropped + test.dropped
    if not train.rows:
        raise EmptyTable(f"Table {train.name} has no usable row ({_reasons(train.dropped)}): insert labelled texts.")
    classes = {label for label, texts in train.texts.items() if texts}
    if len(classes) == 1:
        raise OneClass(f"All rows of {train.name} are labelled {classes.pop()!r}: insert rows of another class.")
    kept = {row for row in test.rows if row[1] in classes}
    if len(kept) < len(test.rows):
        dropped["test label not in train"] += len(test.rows) - len(kept)
    if not kept:
        where = test.name if classifier.test_table else f"{test.name}, of which one in five is held out for the test,"
        raise EmptyTable(f"Table {where} has no usable row ({_reasons(test.dropped)}): insert labelled texts.")
    own_names = [label for label in known if label in classes]
    train_rows, train_hashes = _ordered("train", train.rows, own_names)
    test_rows, test_hashes = _ordered("test", kept, own_names)
    train_texts = set(train_rows.texts)
    return Snapshot(
        name=classifier.name,
        train_table=train.name,
        test_table=classifier.test_table,
        text_column=classifier.text_column,
        label_column=classifier.label_column,
        label_names=own_names,
        train=train_rows,
        test=test_rows,
        digest=digest_of(train_hashes + test_hashes),
        watermark=watermark,
        event_ids=event_ids,
        dropped=dict(dropped),
        cut=train.cut + test.cut,
        overlap=sum(text in train_texts for text in test_rows.texts),
        alike=alike,
    )


def _known(classifier: Classifier, train: Table, test: Table, new_class_rows: int) -> list[str]:
    """The classes: those learned before, then those that are learned now; rows of others are left out of both sides.

    Before anything was learned, every class is there to be learned.
    """
    known = labels.label_names(classifier.labels)
    enough = new_class_rows if known else 1
    new = sorted(label for label in train.texts if label not in known)
    learned = [label for label in new if len(train.texts[label]) >= enough]
    if len(known) + len(learned) > MOST_CLASSES:
        raise DataError(
            f"Column {classifier.label_column!r} of {train.name} has more than {MOST_CLASSES:,} different values: is "
            "it the label?"
        )
    reason = "of the new class {!r}, which is learned from " + str(enough) + " training rows on"
    waiting = {label: reason.format(label) for label in new if label not in learned}
    named = dict(list(waiting.items())[:NAMED_CLASSES])
    for side in (train, test):
        side.keep({*known, *learned}, named)
    return [*known, *learned]


def _ordered(split: str, rows: set[tuple[str, str]], names: list[str]) -> tuple[Rows, list[bytes]]:
    """Rows by their hashes: an order that looks shuffled and is the same wherever the rows stand in the table."""
    hashed = sorted((row_hash(split, text, label), text, label) for text, label in rows)
    index = {name: number for number, name in enumerate(names)}
    return Rows([row[1] for row in hashed], [index[row[2]] for row in hashed]), [row[0] for row in hashed]


def _reasons(dropped: Counter[str]) -> str:
    return ", ".join(f"{count} with {reason}" for reason, count in dropped.items()) or "it is empty"
