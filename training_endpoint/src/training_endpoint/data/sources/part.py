"""A part of a dataset: rows that can be read more than once, without being held in memory."""

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

from training_endpoint.data.sources import names
from training_endpoint.data.sources.names import EDGES
from training_endpoint.data.sources.problems import Problems

TEST_SHARE = 0.2

Row = Sequence[Any]


@dataclass(frozen=True)
class Part:
    """Column names and rows of as many values. `rows` reads from the start each time and counts what it leaves out."""

    columns: list[str]
    rows: Callable[[Problems], Iterator[Row]]
    typed: bool = True
    """Whether values have their types; if not, they are all text, and numbers are found by their look."""
    classes: Mapping[str, list[str]] = field(default_factory=dict)
    """Column -> names of its classes in their order, where the source declares them."""
    name: str = ""
    """What people call it: its file, or how many files it is of."""
    notes: tuple[str, ...] = ()
    """What was assumed to read it, or passed over, in sentences for people."""
    members: tuple["Part", ...] = ()
    """What it was joined of."""


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

    return Part(
        columns,
        rows,
        all(part.typed for part in parts),
        {column: names for part in reversed(parts) for column, names in part.classes.items()},
        f"{parts[0].name} and {len(parts) - 1} more",
        tuple(note for part in parts for note in part.notes),
        tuple(parts),
    )


def alike(part: Part, columns: Sequence[str]) -> Part:
    """`part` with its columns called as those of `columns` that differ in capitals, or in how accents are written."""
    wanted = {names.same(name): name for name in columns}
    called = [
        name if name in columns or wanted.get(names.same(name)) in part.columns else wanted.get(names.same(name), name)
        for name in part.columns
    ]
    if called == part.columns or len(set(called)) < len(called):
        return part
    new = dict(zip(part.columns, called, strict=True))
    return replace(part, columns=called, classes={new[name]: known for name, known in part.classes.items()})


def having(part: Part, columns: Iterable[str]) -> tuple[Part, list[str]]:
    """`part` of those of its members that have all the columns, and the names of the others."""
    members = part.members or (part,)
    fitting = [member for member in members if set(columns) <= set(member.columns)]
    return join(fitting), [member.name for member in members if member not in fitting]


def where(part: Part, column: str, wanted: Callable[[Any], bool], quiet: bool = False) -> Part:
    """The rows whose value in `column` is wanted; `quiet`: another part of the same tells of what was left out."""
    at = part.columns.index(column)

    def rows(problems: Problems) -> Iterator[Row]:
        return (row for row in part.rows(problems.quiet() if quiet else problems) if wanted(row[at]))

    return replace(part, rows=rows, members=())


def split(part: Part, text: str, label: str) -> tuple[Part, Part]:
    """Training and test part of `part`: of each class, one row in five goes to the test part.

    Which ones depends on the texts alone, so the same rows split the same way, and equal texts stay together.
    """
    text_at, label_at = part.columns.index(text), part.columns.index(label)
    keys = array("Q")  # eight bytes a row: of all that is read, this alone stays in memory
    by_class: dict[str, array[int]] = defaultdict(lambda: array("Q"))
    for row in part.rows(Problems()):
        digest = hashlib.sha256(str(row[text_at]).encode("utf-8", "surrogatepass")).digest()
        keys.append(int.from_bytes(digest[:8], "big"))
        by_class[str(row[label_at]).strip().strip(EDGES)].append(keys[-1])
    test_keys: set[int] = set()
    for own in by_class.values():
        share = max(round(len(own) * TEST_SHARE), min(1, len(own) - 1))
        test_keys.update(sorted(own)[:share])

    def kept(in_test: bool) -> Part:
        def rows(problems: Problems) -> Iterator[Row]:
            all_rows = part.rows(problems.quiet() if in_test else problems)
            return compress(all_rows, ((key in test_keys) == in_test for key in keys))

        return replace(part, rows=rows, members=())

    return kept(False), kept(True)
