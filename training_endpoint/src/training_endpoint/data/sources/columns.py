"""What the columns of a dataset hold: the values of each, and the narrowest SQL type for all of them."""

import math
import re
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from training_endpoint.data.sources import cells
from training_endpoint.data.sources.names import EDGES
from training_endpoint.data.sources.part import Part
from training_endpoint.data.sources.problems import Problems

MOST_CLASSES = 200
TYPES = {
    bool: "boolean",
    float: "double precision",
    Decimal: "numeric",
    str: "text",
    datetime: "timestamptz",
    date: "date",
    time: "time",
}
NUMBERS = {"bigint", "numeric", "double precision"}
# What only this module knows. Integers that no double holds, bytes that are UTF-8, words for "no value" among numbers,
# and lists and objects.
LONG, UTF8, WORD, NESTED = "long", "utf8", "word", "nested"
LARGEST = 2**53
WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
DECIMAL = re.compile(r"-?[0-9]{1,400}\.[0-9]{1,400}([eE][+-]?[0-9]{1,4})?")


@dataclass
class Column:
    """What a pass over the rows found in one column."""

    name: str
    types: set[str] = field(default_factory=set)
    characters: int = 0
    values: set[str] = field(default_factory=set)
    """The different values as text without blanks around them, up to one more than `MOST_CLASSES`."""
    spellings: set[str] = field(default_factory=set)
    """The same, but numbers as they are written: 1.10 and 1.1 are two."""

    def add(self, value: Any, typed: bool) -> None:
        """Takes one cell into account."""
        if cells.is_none(value):
            return
        kind = _kind(value, typed)
        self.types.add(kind)
        if isinstance(value, str | bytes):
            self.characters += len(value)
        if len(self.spellings) <= MOST_CLASSES:
            written = cells.as_text(value).strip().strip(EDGES) if kind != NESTED else ""
            self.spellings.add(written)
            self.values.add(cells.as_text(float(written)) if kind == "double precision" else written)

    @property
    def sql_type(self) -> str:
        """The narrowest type that holds all its values."""
        return _widest(self.types)

    @property
    def labels(self) -> set[str]:
        """Its values, as they will be its labels."""
        if self.sql_type in NUMBERS:
            return {value for value in self.values if not cells.is_no_number(value)}
        return self.values

    @property
    def nested(self) -> bool:
        """Whether it holds lists or objects."""
        return NESTED in self.types


def scan(part: Part, problems: Problems | None = None) -> dict[str, Column]:
    """Reads all rows once, and counts in `problems` what is left out."""
    columns = {name: Column(name) for name in part.columns}
    for member in part.members or (part,):
        own = [columns[name] for name in member.columns]
        for row in member.rows(problems or Problems()):
            for column, value in zip(own, row, strict=True):
                if value is not None:
                    column.add(value, member.typed)
    return columns


def sql_types(*scans: dict[str, Column]) -> dict[str, str]:
    """Column -> the narrowest SQL type that holds its values in all parts."""
    found: dict[str, set[str]] = {}
    for columns in scans:
        for name, column in columns.items():
            found.setdefault(name, set()).update(column.types)
    return {name: _widest(types) for name, types in found.items()}


def _widest(types: set[str]) -> str:
    known = types - {WORD, LONG} | ({"bigint"} if LONG in types else set())
    if "bytea" in known:
        return "bytea" if known <= {"bytea", UTF8, "text"} else "text"
    if known and known <= NUMBERS:
        if len(known) == 1:
            return next(iter(known))
        # A double has 53 bits: what does not fit beside it is kept whole by numeric.
        return "double precision" if known == {"bigint", "double precision"} and LONG not in types else "numeric"
    return next(iter(known)) if len(types) == 1 and known <= set(TYPES.values()) | {"timestamp"} else "text"


def _kind(value: Any, typed: bool) -> str:
    if isinstance(value, str):
        return WORD if cells.is_no_number(value) else "text" if typed else _by_look(value.strip())
    if isinstance(value, int) and not isinstance(value, bool):
        return "bigint" if abs(value) <= LARGEST else LONG if -(2**63) <= value < 2**63 else "numeric"
    if isinstance(value, bytes):
        return UTF8 if _is_utf8(value) else "bytea"
    if isinstance(value, list | dict):
        return NESTED
    if isinstance(value, datetime) and value.tzinfo is None:
        return "timestamp"
    return TYPES.get(type(value), "text")


def _by_look(text: str) -> str:
    if WHOLE.fullmatch(text):
        return "bigint" if abs(int(text)) <= LARGEST else LONG
    # As a double it must read back as the number that is written there, which -0 does not.
    if (
        DECIMAL.fullmatch(text)
        and math.isfinite(float(text))
        and Decimal(repr(float(text))) == Decimal(text)
        and not (text[0] == "-" and not float(text))
    ):
        return "double precision"
    return "text"


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
