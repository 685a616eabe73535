"""Finds out what the columns of a dataset hold: their SQL types, and which of them are the text and the label."""

import json
import re
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from training_endpoint.data.sources.part import Part, Problems
from training_endpoint.errors import ImportFailed, MissingColumn, OneClass

TEXT_NAMES = ("text", "sentence", "review", "content", "body", "comment", "message", "tweet", "document", "question")
LABEL_NAMES = ("label", "labels", "class", "category", "sentiment", "target", "intent", "topic", "rating", "stars")
MOST_CLASSES = 200
TYPES = {
    bool: "boolean",
    int: "bigint",
    float: "double precision",
    Decimal: "numeric",
    str: "text",
    bytes: "bytea",
    datetime: "timestamptz",
    date: "date",
    time: "time",
}
WIDER = (("bigint", "numeric"), ("bigint", "double precision"), ("numeric", "double precision"))
WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
SURROGATE = re.compile("[\ud800-\udfff]")
DECIMAL = re.compile(r"-?\d+\.\d+([eE][+-]?\d+)?")


@dataclass
class Column:
    """What a pass over the rows found in one column."""

    name: str
    types: set[str] = field(default_factory=set)
    characters: int = 0
    values: set[Any] = field(default_factory=set)
    """The different values, up to one more than `MOST_CLASSES`."""

    def add(self, value: Any, typed: bool) -> None:
        if value is None:
            return
        self.types.add(_type(value, typed))
        if isinstance(value, str):
            self.characters += len(value)
        if len(self.values) <= MOST_CLASSES:
            self.values.add(value if isinstance(value, str | int | float) else str(value))


def scan(part: Part) -> dict[str, Column]:
    """Reads all rows once."""
    columns = [Column(name) for name in part.columns]
    for row in part.rows(Problems()):
        for column, value in zip(columns, row, strict=True):
            column.add(value, part.typed)
    return {column.name: column for column in columns}


def sql_types(*scans: dict[str, Column]) -> dict[str, str]:
    """Column -> the narrowest SQL type that holds its values in all parts."""
    found: dict[str, set[str]] = {}
    for columns in scans:
        for name, column in columns.items():
            found.setdefault(name, set()).update(column.types)
    return {name: _widest(types) for name, types in found.items()}


def _widest(types: set[str]) -> str:
    if len(types) == 1:
        return next(iter(types))
    return next((wide for narrow, wide in WIDER if types == {narrow, wide}), "text")


def _type(value: Any, typed: bool) -> str:
    if not typed:
        return "bigint" if WHOLE.fullmatch(value) else "double precision" if DECIMAL.fullmatch(value) else "text"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "numeric"
    if isinstance(value, datetime) and value.tzinfo is None:
        return "timestamp"
    return TYPES.get(type(value), "text")


def choose(columns: dict[str, Column], part: Part, text: str, label: str) -> tuple[str, str]:
    """The names of the text and the label column of `part`, each as given, or found when '' was given.

    A text column is the one with a usual name, else the one with most characters. A label column is one whose classes
    the source declares, else one with a usual name, else the one of fewest values. Raises `MissingColumn`,
    `ImportFailed` or `OneClass`.
    """
    own = [columns[name] for name in part.columns]
    listed = ", ".join(part.columns)
    for wanted, setting in ((text, "TEXT_COLUMN"), (label, "LABEL_COLUMN")):
        if wanted and wanted not in part.columns:
            raise MissingColumn(f"The dataset has no column {wanted!r}: its columns are {listed}. Correct {setting}.")
    if not label:
        label = _label(own, part, text)
    if not text:
        texts = [
            column for column in own if _widest(column.types) == "text" and column.name != label and column.characters
        ]
        if not texts:
            raise MissingColumn(f"No column of the dataset holds text: its columns are {listed}. Set TEXT_COLUMN.")
        text = _usual(texts, TEXT_NAMES) or max(texts, key=lambda column: column.characters).name
    if text == label:
        raise ImportFailed(f"Text and label are the same column {text!r}: set TEXT_COLUMN or LABEL_COLUMN to another.")
    _check_classes(columns[label])
    return text, label


def _check_classes(label: Column) -> None:
    if len(label.values) < 2:
        raise OneClass(
            f"Column {label.name!r} has {f'one value only, {min(label.values)!r}' if label.values else 'no value'}: "
            "training needs two classes. Add rows, or set LABEL_COLUMN to another column."
        )
    if len(label.values) > MOST_CLASSES:
        raise ImportFailed(
            f"Column {label.name!r} has more than {MOST_CLASSES} different values: that is no label. "
            "Set LABEL_COLUMN to another column."
        )


def _label(own: list[Column], part: Part, text: str) -> str:
    possible = [column for column in own if column.name != text and 1 <= len(column.values) <= MOST_CLASSES]
    declared = [column.name for column in possible if column.name in part.classes]
    found = declared[0] if declared else _usual(possible, LABEL_NAMES)
    if found:
        return found
    several = [column for column in possible if len(column.values) > 1 and column.name.lower() not in TEXT_NAMES]
    if not several:
        listed = ", ".join(part.columns)
        raise MissingColumn(
            f"No column of the dataset looks like a label (2 to {MOST_CLASSES} different values): "
            f"its columns are {listed}. Set LABEL_COLUMN."
        )
    return min(several, key=lambda column: len(column.values)).name


def _usual(columns: list[Column], names: tuple[str, ...]) -> str | None:
    by_name = {column.name.lower(): column.name for column in columns}
    return next((by_name[name] for name in names if name in by_name), None)


def cell(value: Any, sql_type: str, problems: Problems) -> Any:
    """`value` as COPY takes it; counts what it must repair."""
    if value is None or (sql_type != "text" and not isinstance(value, str)):
        return value
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = str(value)
    if "\0" in text:
        problems["repaired: NUL characters removed, which PostgreSQL cannot hold"] += 1
        text = text.replace("\0", "")
    text, replaced = SURROGATE.subn("\N{REPLACEMENT CHARACTER}", text)
    if replaced:
        problems["repaired: bytes that are not UTF-8 replaced by \N{REPLACEMENT CHARACTER}"] += 1
    return text
