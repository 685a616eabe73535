"""Reads csv, tsv, jsonl and parquet files, and finds the training and test files of a folder."""

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from training_endpoint.data.sources.part import Part, Problems, Row, join
from training_endpoint.errors import ImportFailed

TRAIN = ("train",)
# In the order of preference: the first that a folder has becomes the test table.
TESTS = (("test",), ("dev",), ("valid", "val"), ("eval",))
BATCH_ROWS = 1_000


def parts(path: Path) -> tuple[Part, list[Part]]:
    """The training part and the candidates for the test part of a file or a folder; raises `ImportFailed`."""
    if path.is_file():
        return read(path), []
    found = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in READERS)
    if not found:
        raise ImportFailed(f"The folder {path} holds no {', '.join(READERS)} file: put train.csv and test.csv there.")
    tests = [[file for file in found if _named(file, path, names)] for names in TESTS]
    others = [file for file in found if not any(file in group for group in tests)]
    trains = [file for file in others if _named(file, path, TRAIN)] or others
    if not trains:
        raise ImportFailed(f"The folder {path} holds test files only: name the training file train.csv, for example.")
    return join([read(file) for file in trains]), [join([read(file) for file in group]) for group in tests if group]


def read(path: Path) -> Part:
    """One file as a part; raises `ImportFailed` when it cannot be read at all."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ImportFailed(f"{path.name} is none of {', '.join(READERS)}: convert it to one of them.")
    try:
        return reader(path)
    except OSError as error:
        raise ImportFailed(f"{path} cannot be read: {error.strerror or error}.") from error


def _named(file: Path, folder: Path, names: tuple[str, ...]) -> bool:
    """Whether the file, or a folder on the way to it, starts with one of the names."""
    return any(part.lower().startswith(names) for part in file.relative_to(folder).parts)


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    """The file as text. A byte order mark decides the encoding; bytes that are not UTF-8 stay marked as surrogates."""
    with path.open("rb") as raw:
        start = raw.read(2)
        raw.seek(0)
        encoding = "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        yield io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="")


def _csv(path: Path) -> Part:
    with _text(path) as file:
        header = file.readline()
    # Spreadsheets of some countries separate by semicolons.
    delimiter = max((",", ";", "\t"), key=header.count)
    return _separated(path, delimiter, csv.QUOTE_MINIMAL)


def _tsv(path: Path) -> Part:
    return _separated(path, "\t", csv.QUOTE_NONE)


def _separated(path: Path, delimiter: str, quoting: int) -> Part:
    """A part of texts; an empty cell is null. Rows with too few or too many cells are left out and counted."""

    def records() -> Iterator[list[str]]:
        csv.field_size_limit(sys.maxsize)  # a cell may be a whole book
        with _text(path) as file:
            yield from csv.reader(file, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]  # an int's enum

    columns = next(records(), [])
    if not columns:
        raise ImportFailed(f"{path.name} is empty: its first line must name the columns, such as text and label.")

    def rows(problems: Problems) -> Iterator[Row]:
        lines = records()
        next(lines)
        for cells in lines:
            if len(cells) == len(columns):
                yield [cell or None for cell in cells]
            elif cells:
                problems[f"left out: not the {len(columns)} cells that the first line announces"] += 1

    return Part(_unique(columns), rows, typed=False)


def _jsonl(path: Path) -> Part:
    def objects(problems: Problems) -> Iterator[dict[str, object]]:
        with _text(path) as file:
            for line in file:
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except ValueError:
                    value = None
                if isinstance(value, dict):
                    yield value
                else:
                    problems["left out: the line is not a JSON object"] += 1

    columns = list(dict.fromkeys(key for value in objects(Counter()) for key in value))
    if not columns:
        raise ImportFailed(f"{path.name} holds no JSON object: each line must be one, such as "
                           '{"text": "…", "label": "…"}.')  # fmt: skip
    return Part(columns, lambda problems: ([value.get(name) for name in columns] for value in objects(problems)))


def _parquet(path: Path) -> Part:
    import pyarrow as pa  # noqa: PLC0415 - heavy, and seldom needed
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
    except pa.ArrowInvalid as error:
        raise ImportFailed(f"{path.name} is not a parquet file: {error}.") from error
    # Files from the hub carry the names of numbered classes.
    info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {})
    features = info.get("features", {}).items()
    classes = {name: feature["names"] for name, feature in features if feature.get("_type") == "ClassLabel"}

    def rows(_: Problems) -> Iterator[Row]:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    return named(Part(_unique(schema.names), rows, classes=classes))


def named(part: Part) -> Part:
    """`part` with the names of its classes in place of their numbers; a number without a name (often -1) is null."""
    names = [part.classes.get(column) for column in part.columns]
    if not any(names):
        return part

    def name(value: object, known: list[str] | None) -> object:
        if known is None or not isinstance(value, int):
            return value
        return known[value] if 0 <= value < len(known) else None

    def rows(problems: Problems) -> Iterator[Row]:
        return (list(map(name, row, names)) for row in part.rows(problems))

    return Part(part.columns, rows, part.typed, part.classes)


def _unique(names: list[str]) -> list[str]:
    """Column names without blanks and repetitions."""
    result: list[str] = []
    for number, name in enumerate(names, 1):
        wanted = name.strip() or f"column_{number}"
        result.append(wanted if wanted not in result else f"{wanted}_{number}")
    return result


READERS: dict[str, Callable[[Path], Part]] = {".csv": _csv, ".tsv": _tsv, ".jsonl": _jsonl, ".parquet": _parquet}
