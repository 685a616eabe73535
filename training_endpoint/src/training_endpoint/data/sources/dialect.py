"""How a csv or tsv file is written, found in its first rows; the reading itself is Python's csv module's."""

import csv
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from training_endpoint.data.sources.names import EDGES
from training_endpoint.data.sources.records import Dialect, Record, Records

SEPARATORS = (",", ";", "\t", "|", ":", "~", "^", "\x01")
SEP_LINE = re.compile(r"\"?sep=(.)\"?[;,\t]*", re.IGNORECASE)
COMMENT = re.compile(r"(#|//) ?[^\s,;\t|]")
NUMBER = re.compile(r"[-+]?[0-9]+([.,][0-9]+)?")
# What a header may be called; a first row with one of these is one, whatever else it holds.
USUAL_NAMES = {
    "text", "sentence", "review", "content", "body", "comment", "message", "tweet", "document", "question", "title",
    "label", "labels", "class", "category", "sentiment", "target", "intent", "topic", "rating", "stars", "score", "id",
}  # fmt: skip
FEW_VALUES = 200
WIDEST_TITLE = 10


def find(lines: list[str], tabs: bool) -> Dialect:
    """The dialect of a file that begins with `lines`; `tabs`: it is a .tsv, whose quotes are often part of the text.

    An empty `columns` means that there is no row.
    """
    skip = next((number for number, line in enumerate(lines) if not _blank(line)), len(lines))
    told = SEP_LINE.fullmatch(lines[skip].strip("\r\n")) if skip < len(lines) else None
    if told:
        skip += 1
        skip += next((number for number, line in enumerate(lines[skip:]) if not _blank(line)), 0)
    notes: tuple[str, ...] = ()
    comments = next((number for number, line in enumerate(lines[skip:]) if not COMMENT.match(line)), 0)
    if comments and USUAL_NAMES & set(re.split(r"[,;\t|: \r\n\"']+", lines[skip + comments].lower())):
        notes = (f"comments above the header were passed over ({lines[skip].strip()[:60]!r})",)
        skip += comments
    lines = lines[skip:]
    if not lines:
        return Dialect()
    tabs = tabs and any("\t" in line for line in lines)  # else it is none, whatever its name
    wrapped = _unwrapped(lines)
    if wrapped:
        notes += ("each line stands in quotes, which were taken away",)
        lines, tabs = wrapped, False
    separators = (told[1],) if told else ("\t",) if tabs else SEPARATORS
    candidates = [_dressed(Dialect(separator, skip=skip), lines, tabs) for separator in separators]
    found = max(candidates, key=lambda one: _fit(one, lines))
    return _headed(replace(found, notes=notes), lines)


def _unwrapped(lines: list[str]) -> list[str]:
    """The lines without the quotes in which each stands as a whole; none where that is not so."""
    whole = Dialect("\0")
    rows = [whole.row(line, quoted=True, strict=True) if line.startswith('"') else [] for line in lines]
    if any(len(row) != 1 and not _blank(line) for row, line in zip(rows, lines, strict=True)):
        return []
    inner = ["".join(row) for row in rows]
    for separator in SEPARATORS:
        if {len(Dialect(separator).row(line, quoted=True)) > 1 for line in inner if line} == {True}:
            return [f"{line}\n" for line in inner]
    return []


def _blank(line: str) -> bool:
    return not line.strip(" \t\r\n,;|")


def _dressed(plain: Dialect, lines: list[str], tabs: bool) -> Dialect:
    """`plain` with the quotes that the lines have."""
    sep, text = re.escape(plain.separator), "".join(lines)
    cell = rf"(?:^|{sep})(?P<blanks> *)(?P<quote>[\"'])(?:(?!(?P=quote)).)*(?P=quote) *(?={sep}|[\r\n]|$)"
    quoted = list(re.finditer(cell, text, re.MULTILINE))
    singles = sum(match["quote"] == "'" for match in quoted)
    quote = "'" if singles >= max(2, 0.5 * len(lines)) and singles > len(quoted) - singles else '"'
    later = [match for match in quoted if match["quote"] == quote and match[0].startswith(plain.separator)]
    dialect = replace(plain, quote=quote, blanks=2 * sum(bool(match["blanks"]) for match in later) > len(later))
    inside = rf"\\{quote}(?! *(?:{sep}|[\r\n]|$))"
    if re.search(inside, text, re.MULTILINE) and not re.search(rf"\w{quote}{quote}\w", text):
        dialect = replace(dialect, escape="\\")
    if tabs and not _needs_quotes(dialect, lines):
        dialect = replace(dialect, quote=None, escape=None, blanks=False)
    return dialect


def _needs_quotes(dialect: Dialect, lines: list[str]) -> bool:
    """Whether quotes in a .tsv do what they do in a .csv: with them the rows are whole, without them they are not."""
    if not any(dialect.quote in line for line in lines if dialect.quote):
        return False
    literal = {len(dialect.row(line)) for line in lines}
    try:
        rows = list(csv.reader(lines, strict=True, **dialect.options()))
    except csv.Error:
        return False
    doubled = any(f"{dialect.quote}{dialect.quote}" in line for line in lines)
    return len({len(row) for row in rows if row}) == 1 and (len(literal) > 1 or doubled)


def _rows(dialect: Dialect, lines: list[str]) -> list[Record]:
    """The rows of the first lines that hold anything."""
    rows = [row for row in Records(iter(lines), replace(dialect, skip=0)) if any(cell.strip() for cell in row.cells)]
    return rows or [Record([], [], 0)]


def _fit(dialect: Dialect, lines: list[str]) -> tuple[float, bool, int]:
    """How well a separator fits: rows as wide as the header or, before it, as most rows; more columns where equal."""
    rows = [row.cells for row in _rows(dialect, lines)]
    width = len(rows[0])
    usual, times = Counter(map(len, rows)).most_common(1)[0]
    if width == 1 and usual > 1 and times > 0.8 * len(rows):  # a title above the header
        return 0.04 * times / len(rows), False, usual  # less than any that fits the header
    if width == 1:
        return 0.0, False, 1
    whole = sum(len(row) == width for row in rows) / len(rows)
    named = bool(USUAL_NAMES & {cell.strip(EDGES).lower() for cell in rows[0]})
    return max(whole, 0.05), named, width


def _headed(dialect: Dialect, lines: list[str]) -> Dialect:
    """`dialect` with its columns: those of the first row, of one below a title, or numbers where there is no header."""
    records = _rows(dialect, lines)
    rows = [record.cells for record in records]
    notes = list(dialect.notes)
    usual, times = Counter(map(len, rows)).most_common(1)[0]
    title = next((number for number, row in enumerate(rows[:WIDEST_TITLE]) if len(row) == usual), 0)
    titled = usual > 1 and times > 0.8 * (len(rows) - title)
    if title and titled and all(len([cell for cell in row if cell]) == 1 for row in rows[:title]):
        first = records[title].number - 1
        passed = "".join(lines[:first]).strip()[:60]
        notes.append(f"what stands above the header was passed over ({passed!r})")
        dialect, rows = replace(dialect, skip=dialect.skip + first), rows[title:]
    header = _is_header(rows)
    first_row = ", ".join(rows[0])[:60]
    if not header:
        notes.append(f"there is no header, so the first row ({first_row!r}) counts as a row like all others")
    elif not USUAL_NAMES & {cell.strip(EDGES).lower() for cell in rows[0]}:
        notes.append(f"the first row ({first_row!r}) was taken for the header; if it is none, put names above it")
    columns = tuple(rows[0] if header else ("" for _ in rows[0]))
    if header and _numbered(rows):
        notes.append("the rows have a cell more than the header, in front: it is taken for their number")
        columns = ("", *columns)
    return replace(dialect, columns=columns, header=header, notes=tuple(notes))


def _is_header(rows: list[list[str]]) -> bool:
    """Whether the first row names columns: it is none when a cell is a number or one of the few values below it."""
    names = [cell.strip(EDGES) for cell in rows[0]]
    if USUAL_NAMES & {name.lower() for name in names} or len(rows) < 3:
        return True
    body = [row for row in rows[1:] if len(row) == len(names) and [cell.strip() for cell in row] != names]
    for at, name in enumerate(names):
        below = Counter(row[at].strip() for row in body)
        few = len(below) <= min(FEW_VALUES, len(body) / 2)
        if name and few and name in below:
            return False
        numbers = sum(count for value, count in below.items() if NUMBER.fullmatch(value))
        if NUMBER.fullmatch(name) and numbers > 0.9 * len(body) and not _counting(names):
            return False
    return True


def _numbered(rows: list[list[str]]) -> bool:
    """Whether all rows begin with one cell more than the header, as R writes their names: each another one."""
    body = rows[1:]
    wider = all(len(row) == len(rows[0]) + 1 and row[-1].strip() for row in body)
    return len(body) > 1 and wider and len({row[0] for row in body}) == len(body)


def _counting(names: list[str]) -> bool:
    """Whether the names are numbers one after the other, as tables without names are written."""
    numbers = [int(name) for name in names if name.isascii() and name.isdigit()]
    return len(numbers) > 1 and len(numbers) == len(names) and all(b - a == 1 for a, b in pairwise(numbers))
