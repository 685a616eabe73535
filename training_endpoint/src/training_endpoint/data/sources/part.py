"""A part of a dataset: rows that can be read more than once, without being held in memory."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

TEST_SHARE = 0.2

Row = Sequence[Any]
Problems = Counter[str]
"""What was left out or repaired, as a sentence's end -> how often."""


@dataclass(frozen=True)
class Part:
    """Column names and rows of as many values. `rows` reads from the start each time and counts what it leaves out."""

    columns: list[str]
    rows: Callable[[Problems], Iterator[Row]]
    typed: bool = True
    """Whether values have their types; if not, they are all text, and numbers are found by their look."""
    classes: Mapping[str, list[str]] = field(default_factory=dict)
    """Column -> names of its classes in their order, where the source declares them."""


def join(parts: Sequence[Part]) -> Part:
    """The parts one after the other, columns matched by name; a column that a part lacks is null there."""
    if len(parts) == 1:
        return parts[0]
    columns = list(dict.fromkeys(column for part in parts for column in part.columns))

    def rows(problems: Problems) -> Iterator[Row]:
        for part in parts:
            places = [part.columns.index(column) if column in part.columns else None for column in columns]
            for row in part.rows(problems):
                yield [None if place is None else row[place] for place in places]

    return Part(columns, rows, all(part.typed for part in parts), parts[0].classes)


def split(part: Part, text: str, label: str) -> tuple[Part, Part]:
    """Training and test part of `part`: of each class, one row in five goes to the test part.

    Which ones depends on the texts alone, so the same rows split the same way, and equal texts stay together.
    """
    text_at, label_at = part.columns.index(text), part.columns.index(label)
    by_class: dict[str, list[tuple[bytes, int]]] = defaultdict(list)
    for number, row in enumerate(part.rows(Counter())):
        key = hashlib.sha256(str(row[text_at]).encode("utf-8", "surrogatepass")).digest()[:8]
        by_class[str(row[label_at])].append((key, number))
    count = sum(len(rows) for rows in by_class.values())
    chosen = bytearray(count)
    test_keys: set[bytes] = set()
    for rows in by_class.values():
        rows.sort()
        share = max(round(len(rows) * TEST_SHARE), min(1, len(rows) - 1))
        test_keys.update(key for key, _ in rows[:share])
    for rows in by_class.values():
        for key, number in rows:
            chosen[number] = key in test_keys

    def kept(which: Callable[[], Iterator[bool]]) -> Part:
        return Part(part.columns, lambda problems: compress(part.rows(problems), which()), part.typed, part.classes)

    return kept(lambda: (not test for test in chosen)), kept(lambda: (bool(test) for test in chosen))
