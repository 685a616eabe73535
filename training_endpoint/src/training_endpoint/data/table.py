"""One table's usable rows: streamed once from the database into a mapped file, hashed, counted and put in order."""

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from training_endpoint import database
from training_endpoint.data.rows import AT_ONCE, Rows, TextFile, mapped
from training_endpoint.errors import DataError, MissingColumn, MissingTable, NotReadable

MOST_CHARS = 4_000_000
"""So many characters of texts are in Python at a time, and one text."""
RECORD = np.dtype([("hash", "S32"), ("place", ">u4")])
"""A row: its sha256, and where it stands. As bytes, records sort by the hash."""
PARTS = 256
GRANTS = "the role platform needs SELECT on it, and USAGE on its schema."


class Table:
    """A table's usable rows in the order of their hashes, and the count of the others by reason.

    `held_out` takes one side of the table; `split` is what the rows are for; the texts go into `folder`. Beyond the
    texts it holds 36 bytes a row, sorted where they lie, then 9 for label, place and whether it is kept.
    """

    def __init__(
        self,
        connection: database.Connection,
        split: str,
        table: str,
        text: str,
        label: str,
        limit: int,
        folder: Path,
        held_out: bool | None = None,
    ) -> None:
        self.name, self.split = table, split
        self.dropped: Counter[str] = Counter()
        self.trimmed: Counter[str] = Counter()
        """Rows by the label that they write with blanks around it."""
        self.cut = 0
        self.labels: list[str] = []
        """As met; rows have them by their places here."""
        self._numbers: dict[str, int] = {}
        name = check_columns(connection, table, text, label)
        folder.mkdir(parents=True)
        records = self._stream(_rows(connection, name, text, label, limit, held_out), folder, limit)
        records.view(f"S{RECORD.itemsize}").sort()
        hashes = records["hash"]
        self._records = records
        self._kept = np.ones(len(records), bool)
        self._kept[1:] = hashes[1:] != hashes[:-1]
        self.dropped["repeated row"] += len(records) - int(self._kept.sum())
        self._texts = mapped(folder)
        self._label = np.empty(len(records), np.int32)
        read = np.fromfile(folder / "labels", np.int32)
        for part in _parts(len(records)):
            self._label[part] = read[records["place"][part]]
        self._count()

    def _stream(self, rows: Iterator[tuple[str | None, str | None]], folder: Path, limit: int) -> npt.NDArray[np.void]:
        """Reads all; returns the records as they came."""
        known: dict[str | None, tuple[int, bytes, bool]] = {}
        records = bytearray()
        texts: list[str] = []
        labels: list[int] = []
        place = chars = 0
        sha256 = hashlib.sha256
        with TextFile(folder) as file, (folder / "labels").open("wb") as label_file:

            def flush() -> None:
                file.add(texts)
                label_file.write(np.array(labels, np.int32).tobytes())
                texts.clear()
                labels.clear()

            for text, written in rows:
                if text is None:
                    self.dropped["null text"] += 1
                    continue
                if not text or text.isspace():
                    self.dropped["blank text"] += 1
                    continue
                found = known.get(written)
                if found is None:
                    found = known[written] = self._label_of(written)
                number, begins, trimmed = found
                if number < 0:
                    self.dropped["null label"] += 1
                    continue
                if len(text) > limit:
                    text = text[:limit]  # noqa: PLW2901
                    self.cut += 1
                if trimmed:
                    self.trimmed[self.labels[number]] += 1
                records += sha256(begins + text.encode()).digest() + place.to_bytes(4, "big")
                place += 1
                texts.append(text)
                labels.append(number)
                chars += len(text)
                if len(texts) >= AT_ONCE or chars >= MOST_CHARS:
                    flush()
                    chars = 0
            flush()
        return np.frombuffer(records, RECORD)

    def _label_of(self, written: str | None) -> tuple[int, bytes, bool]:
        """Its place among the labels (-1: none), what a row's hash begins with, and whether blanks are around it."""
        label = (written or "").strip()
        if not label:
            return -1, b"", False
        number = self._numbers.setdefault(label, len(self.labels))
        if number == len(self.labels):
            self.labels.append(label)
        return number, beginning(self.split, label), label != written

    def _count(self) -> None:
        counts = np.zeros(len(self.labels), np.int64)
        for part in _parts(len(self._label)):
            counts += np.bincount(self._label[part][self._kept[part]], minlength=len(self.labels))
        self.counts = {label: int(rows) for label, rows in zip(self.labels, counts, strict=True)}
        """Rows by label."""

    def __len__(self) -> int:
        return sum(self.counts.values())

    def keep(self, labels: Collection[str], reasons: Mapping[str, str], otherwise: str = "unknown label") -> None:
        """Leaves out the rows of other labels, for `reasons` by label."""
        out = [label for label, rows in self.counts.items() if label not in labels and rows]
        for label in out:
            self.dropped[reasons.get(label, otherwise)] += self.counts[label]
        stays = np.array([label not in out for label in self.labels] or [True])
        for part in _parts(len(self._label)):
            self._kept[part] &= stays[self._label[part]]
        self._count()

    def hashes(self, part: slice) -> npt.NDArray[np.bytes_]:
        """The whole sha256 of the kept rows among those that stand in `part` of the order."""
        found: npt.NDArray[np.bytes_] = self._records["hash"][part][self._kept[part]]
        return found

    def parts(self) -> list[slice]:
        """The order, cut where the first byte of the hash changes."""
        hashes = self._records["hash"]
        cuts = [0, *(bisect_left(hashes, bytes([byte])) for byte in range(1, PARTS)), len(hashes)]
        return [slice(first, end) for first, end in pairwise(cuts)]

    def rows(self, names: Sequence[str]) -> Rows:
        """The kept rows, labelled by their places in `names`; the last thing to be asked, for it gives memory back."""
        hashes = np.empty(len(self), np.uint64)
        end = 0
        for part in _parts(len(self._records)):
            whole = np.ascontiguousarray(self.hashes(part))
            hashes[end : end + len(whole)] = whole.view(">u8").reshape(-1, 4)[:, 0]
            end += len(whole)
        places = self._records["place"][self._kept].astype(np.uint32)
        del self._records
        index = {name: number for number, name in enumerate(names)}
        numbers = np.array([index.get(label, -1) for label in self.labels] or [-1], np.int32)
        labels = numbers[self._label[self._kept]]
        del self._label, self._kept
        return Rows(self._texts.pick(places), labels, hashes)


def digest(tables: Sequence[Table]) -> str:
    """sha256 over the sorted hashes of the rows of all, so that the order of the rows does not matter."""
    total = hashlib.sha256()
    for parts in zip(*(table.parts() for table in tables), strict=True):
        some = np.concatenate([table.hashes(part) for table, part in zip(tables, parts, strict=True)])
        some.sort()
        total.update(some.tobytes())
    return total.hexdigest()


def beginning(split: str, label: str) -> bytes:
    """What the hash of a row begins with, before its text."""
    return f"{split}\0{label}\0".encode()


def check_columns(connection: database.Connection, table: str, text: str, label: str) -> str:
    """The table's name as SQL; raises a `DataError` unless it is there with both columns, to be read by us."""
    try:
        found = connection.execute("SELECT to_regclass(%s)::text AS name", [table]).fetchone()
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotReadable(f"Training may not see table {table} ({error.diag.message_primary}): {GRANTS}") from error
    if not (found and found["name"]):
        raise MissingTable(f"Table {table} is gone: restore it, or import a dataset with POST /datasets.")
    columns = {row["name"]: row for row in connection.execute(database.query("columns"), {"table": table})}
    for column in (text, label):
        if column not in columns:
            raise MissingColumn(f"Table {table} has no column {column!r}; it has {', '.join(columns)}. Rename it back.")
        if columns[column]["type"] == "bytea":
            raise DataError(f"Column {column!r} of table {table} holds bytes (bytea): it must hold text.")
        if not columns[column]["readable"]:
            raise NotReadable(f"Training may not read column {column!r} of table {table}: {GRANTS}")
    return str(found["name"])


def _rows(
    connection: database.Connection, table: str, text: str, label: str, limit: int, held_out: bool | None
) -> Iterator[tuple[str | None, str | None]]:
    """(text, label) of each; a text longer than `limit` is one character longer."""
    columns = {"text": sql.Identifier(text), "label": sql.Identifier(label)}
    side: sql.Composable = sql.SQL("true")
    if held_out is not None:
        side = database.query("held_out").format(**columns)
        side = side if held_out else sql.SQL("NOT ({})").format(side)
    # regclass printed the table's name, quoted where it must be
    query = database.query("rows").format(**columns, table=sql.SQL(table), limit=sql.Literal(limit), side=side)
    with connection.cursor(row_factory=psycopg.rows.tuple_row).copy(query) as copy:
        copy.set_types(["text", "text"])
        yield from copy.rows()


def _parts(size: int) -> Iterator[slice]:
    for start in range(0, size, 1 << 18):
        yield slice(start, min(start + (1 << 18), size))
