"""Lines to rows by Python's csv module; where quotes do not match, no line is lost."""

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LONGEST_CELL = 16 * 1024 * 1024  # a cell may be a whole book
MOST_READ_AGAIN = 64 * LONGEST_CELL


class TooManyStrays(Exception):
    """Quotes do not match in so many rows that reading would take for ever; its argument is a line's number."""


@dataclass(frozen=True)
class Dialect:
    """What Python's csv reader needs to know, and where the table begins."""

    separator: str = ","
    quote: str | None = '"'
    escape: str | None = None
    blanks: bool = False
    """Whether blanks between separator and cell do not count."""
    skip: int = 0
    """Lines before the first row."""
    columns: tuple[str, ...] = ()
    header: bool = True
    """Whether the first row names the columns."""
    notes: tuple[str, ...] = ()

    def options(self, quoted: bool = True) -> dict[str, Any]:
        """For csv.reader; without `quoted`, quotes are ordinary characters."""
        quote = self.quote if quoted else None
        return {
            "delimiter": self.separator,
            "quotechar": quote,
            "quoting": csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL,
            "escapechar": self.escape if quote else None,
            "doublequote": self.escape is None,
            "skipinitialspace": self.blanks,
        }

    def row(self, line: str, quoted: bool = False, strict: bool = False) -> list[str]:
        """The cells of one line by itself; none where it cannot be read so."""
        try:
            return next(csv.reader([line.rstrip("\r\n")], strict=strict, **self.options(quoted)), [])
        except csv.Error:
            return []


@dataclass(frozen=True)
class Record:
    """One row: its cells, and the lines that it was written in, the first of which has `number`."""

    cells: list[str]
    lines: list[str]
    number: int
    stray: bool = False
    """Whether its quotes did not match, and were taken for text."""


class Records:
    """The rows of `lines`. A row whose quotes do not match is its first line alone; the others are read anew.

    `width`: how many cells a row has, 0 where that is not known yet. Rows of several lines must have as many.
    """

    def __init__(self, lines: Iterator[str], dialect: Dialect, width: int = 0) -> None:
        self.source, self.dialect, self.width = lines, dialect, width
        self.again: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0
        self.read_again = 0

    def _lines(self) -> Iterator[str]:
        size = 0
        while line := self.again.popleft() if self.again else next(self.source, ""):
            size = size + len(line) if self.taken else len(line)
            self.number += 1
            if not self.taken:
                line = line.lstrip("\ufeff")
            self.taken.append(line)
            yield line
            if size > LONGEST_CELL and self.taken:
                raise csv.Error("a quote that never ends")

    def __iter__(self) -> Iterator[Record]:
        for _ in range(self.dialect.skip):
            self.number += bool(next(self.source, ""))
        reader = csv.reader(self._lines(), strict=True, **self.dialect.options())
        while True:
            self.taken = []
            number = self.number + 1
            try:
                cells = next(reader, None)
                if cells is None:
                    return
                too_wide = len(cells) > self.width and any(cells[self.width :])
                if self.width and len(self.taken) > 1 and (too_wide or len(cells) < self.width):
                    yield self._first_alone(number)  # a stray quote may have swallowed rows
                else:
                    yield Record(self._unwrapped(cells), self.taken, number)
            except csv.Error:
                reader = csv.reader(self._lines(), strict=True, **self.dialect.options())
                yield self._first_alone(number)

    def _unwrapped(self, cells: list[str]) -> list[str]:
        """The cells of a row that was quoted as a whole, as a spreadsheet does that took a line for one cell."""
        inner = self.dialect.row(cells[0], quoted=True) if len(cells) == 1 < self.width else []
        return inner if inner and len(inner) == self.width else cells

    def _first_alone(self, number: int) -> Record:
        first, *others = self.taken
        self.number = number
        self.again.extendleft(reversed(others))
        self.read_again += sum(map(len, others))
        if self.read_again > MOST_READ_AGAIN:
            raise TooManyStrays(number)
        # Blanks between a closing quote and the separator are no fault.
        trimmed = re.sub(rf'{re.escape(self.dialect.quote or "")} +(?={re.escape(self.dialect.separator)}|[\r\n]*$)',
                         self.dialect.quote or "", first)  # fmt: skip
        cells = self.dialect.row(trimmed, quoted=True, strict=True)
        if cells and trimmed != first:
            return Record(cells, [first], number)
        literal = self.dialect.row(first)
        lenient = self.dialect.row(first, quoted=True)
        fits = len(lenient) == self.width != len(literal)
        return Record(lenient if fits else literal, [first], number, stray=True)
