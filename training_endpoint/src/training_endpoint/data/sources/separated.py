"""Reads csv and tsv files: every row arrives, or is told with its place."""

import csv
import re
import sys
from collections.abc import Iterator
from dataclasses import replace

from training_endpoint.data.sources import dialect as dialects
from training_endpoint.data.sources import encoding, names, objects
from training_endpoint.data.sources.dialect import FEW_VALUES
from training_endpoint.data.sources.encoding import Text
from training_endpoint.data.sources.file import File
from training_endpoint.data.sources.part import Part, Row
from training_endpoint.data.sources.problems import Problems
from training_endpoint.data.sources.records import Dialect, Records, TooManyStrays
from training_endpoint.errors import ImportFailed

SAMPLE_CHARACTERS = 256 * 1024

NARROW = "rows left out: not the {} cells of the header"
EMPTY = "rows left out: no cell holds anything"
REPEATED = "rows left out: they repeat the header"
RULE = re.compile(r":?[-=]{3,}:?")  # below a header that is drawn
DRAWN = "rows left out: lines that are drawn"
STRAY = "rows with a stray quote, which was taken for text"
JOINED = "cells of several lines that look like rows: a quote may be missing, and rows may have been joined"


def read(file: File, wanted: str, tabs: bool) -> Part:
    """A part of texts; raises `ImportFailed`. `tabs`: the file's ending says that tabs separate."""
    csv.field_size_limit(sys.maxsize)
    text = encoding.find(file, wanted)
    sample = text.head(SAMPLE_CHARACTERS)
    if objects.begins(sample):
        part = objects.read(file, wanted)
        return replace(part, notes=(f"{file.name}: it holds JSON, and is read as such.", *part.notes))
    dialect = dialects.find(sample, tabs)
    if not dialect.columns:
        raise ImportFailed(f"{file.name} is empty: its first line must name the columns, such as text and label.")
    columns = names.fit(list(dialect.columns))
    notes = [text.note] if text.note else []
    notes += [f"{file.name}: {note}." for note in dialect.notes]

    def rows(problems: Problems) -> Iterator[Row]:
        try:
            yield from _rows(file, text, dialect, sample, problems)
        except TooManyStrays as error:
            raise ImportFailed(f"{file.name}: quotes do not match in too many rows, such as line {error}.") from error

    return Part(columns, rows, typed=False, name=file.name, notes=tuple(notes))


class _Usual:
    """What cells usually hold, to tell lines of a text from rows: the few different values of columns that have few."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect, self.width = dialect, len(dialect.columns)
        self.values: list[set[str]] = [set() for _ in dialect.columns]

    def note(self, line: str, cells: list[str]) -> None:
        """Remembers the cells of a line without quotes."""
        if len(cells) == self.width and not (self.dialect.quote and self.dialect.quote in line):
            for seen, cell in zip(self.values, cells, strict=True):
                if len(seen) <= FEW_VALUES:
                    seen.add(cell.strip())

    def rows_in(self, lines: list[str]) -> bool:
        """Whether each of the lines looks like a row of its own."""
        few = [number for number, seen in enumerate(self.values) if 0 < len(seen) <= FEW_VALUES]
        rows = [self.dialect.row(line) for line in lines]
        return all(len(row) == self.width and any(row[at].strip() in self.values[at] for at in few) for row in rows)


def _rows(file: File, text: Text, dialect: Dialect, sample: list[str], problems: Problems) -> Iterator[Row]:
    usual = _Usual(dialect)
    for line in sample[dialect.skip + dialect.header :]:
        usual.note(line, dialect.row(line))
    width = usual.width
    records = iter(Records(text.lines(), dialect, width))
    if dialect.header:
        next(records, None)
    for record in records:
        problems.at(file.name, record.number)
        cells = record.cells
        if len(cells) > width and not any(cells[width:]):
            cells = cells[:width]  # separators at the end
        if all(not cell or cell.isspace() for cell in cells):
            if len(cells) > 1:
                problems.add(EMPTY)
        elif len(cells) != width:
            problems.add(NARROW.format(width))
        elif all(RULE.fullmatch(cell.strip()) for cell in cells if cell):
            problems.add(DRAWN)
        elif dialect.header and tuple(cells) == dialect.columns:
            problems.add(REPEATED)
        else:
            if record.stray:
                problems.add(STRAY)
            elif len(record.lines) > 1 and usual.rows_in(record.lines):
                problems.add(JOINED)
            usual.note(record.lines[0], cells)
            yield cells
