"""Single values: which are none, what they are as text, and how COPY takes them."""

import json
import math
import re
from decimal import Decimal
from typing import Any

from training_endpoint.data.sources.names import EDGES
from training_endpoint.data.sources.problems import Problems
from training_endpoint.errors import ImportFailed

SURROGATE = re.compile("[\ud800-\udfff]")
NO_NUMBERS = {"nan", "na", "n/a", "#n/a", "<na>", "null", "none"}
"""Words that are no value in a column whose other values are numbers; elsewhere they are words like others."""
DUMPED_NULL = r"\N"  # as MySQL and PostgreSQL write it
NUL = "rows repaired: NUL characters removed, which PostgreSQL cannot hold"
HALF_PAIR = "rows repaired: halves of surrogate pairs replaced by \N{REPLACEMENT CHARACTER}"
EXACT_FLOATS = 2**53


def is_none(value: Any) -> bool:
    """The one rule for "no value", whatever the source: missing, null, NaN, and text that is empty, blank or \\N."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace() or value == DUMPED_NULL
    if isinstance(value, float | Decimal):
        return math.isnan(value)
    return isinstance(value, bytes) and not value.strip()


def as_text(value: Any) -> str:
    """A value as text, as PostgreSQL prints it where it has the type."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_FLOATS:
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=as_text)
    return str(value)


def is_no_number(value: Any) -> bool:
    """Whether it is one of the words for "no value" among numbers."""
    return isinstance(value, str) and value.strip().lower() in NO_NUMBERS


def cell(value: Any, sql_type: str, problems: Problems, is_label: bool = False) -> Any:
    """`value` as COPY takes it for a column of `sql_type`; counts what it must repair. A label loses blanks around."""
    if is_none(value):
        return None
    if sql_type == "bytea":
        return value if isinstance(value, bytes) else as_text(value).encode("utf-8", "replace")
    if sql_type != "text":
        if isinstance(value, str):
            return None if is_no_number(value) else value.strip()
        return value + 0.0 if isinstance(value, float) else value  # -0.0 is 0
    try:
        text = as_text(value)
    except (RecursionError, ValueError) as error:
        raise ImportFailed(f"{problems.place}: a value is nested too deeply, or too large.") from error
    if "\0" in text:
        problems.add(NUL)
        text = text.replace("\0", "")
    if not text.isascii():
        text, halves = SURROGATE.subn("\N{REPLACEMENT CHARACTER}", text)
        if halves:
            problems.add(HALF_PAIR)
    if is_label:
        text = text.strip().strip(EDGES)
    return text or None
