"""Values of Arrow columns, from parquet files and the hub, as Python's own."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from training_endpoint.data.sources.part import Part, Row
from training_endpoint.data.sources.problems import Problems


def rows(batch: Any) -> Iterator[Row]:
    """The rows of a record batch or table."""
    return zip(*map(_values, batch.columns), strict=True)


def _values(column: Any) -> list[Any]:
    """What Python cannot hold (years from 10000, nanoseconds) comes as text, bytes that are no text as bytes."""
    import pyarrow as pa  # noqa: PLC0415 - heavy, and seldom needed

    kind = column.type
    try:
        if pa.types.is_timestamp(kind) and (kind.tz or kind.unit == "ns"):
            # The same moments; not every zone's name is known everywhere.
            column = column.cast(pa.timestamp("us", "UTC" if kind.tz else None))
        elif pa.types.is_time64(kind) and kind.unit == "ns":
            column = column.cast(pa.time64("us"))
        elif pa.types.is_duration(kind) and kind.unit == "ns":
            column = column.cast(pa.duration("us"))
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return list(column.cast(pa.binary()).to_pylist())
    except (ValueError, OverflowError, TypeError, KeyError, pa.ArrowException):
        return [_one(value) for value in column]


def _one(scalar: Any) -> Any:
    """A value of a column in which some cannot be held."""
    import pyarrow as pa  # noqa: PLC0415

    if not scalar.is_valid:
        return None
    try:
        return str(scalar.cast(pa.string()).as_py())
    except (ValueError, pa.ArrowException):
        return str(scalar)


def named(part: Part) -> Part:
    """`part` with the names of its classes in place of their numbers; a number without a name (often -1) is null."""
    class_names = [part.classes.get(column) for column in part.columns]
    if not any(class_names):
        return part

    def name(value: Any, known: list[str] | None) -> Any:
        if known is None or not isinstance(value, int | float) or isinstance(value, bool):
            return value
        if isinstance(value, float):  # as numbers beside nulls are often kept
            if not value.is_integer():
                return value
            value = int(value)
        return known[value] if 0 <= value < len(known) else None

    def all_rows(problems: Problems) -> Iterator[Row]:
        return (list(map(name, row, class_names)) for row in part.rows(problems))

    return replace(part, rows=all_rows)


def declared(metadata: Mapping[bytes, bytes] | None) -> tuple[dict[str, list[str]], str]:
    """The names of numbered classes that a file from the hub carries, and a word about what cannot be understood."""
    found: dict[str, list[str]] = {}
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        for column, feature in features.items():
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
                class_names = feature["names"]
                if not (isinstance(class_names, list) and all(isinstance(name, str) for name in class_names)):
                    raise TypeError("names")
                found[column] = class_names
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return {}, "what it says of its columns for the hub is not understood, and passed over"
    return found, ""
