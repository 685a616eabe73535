"""The queue as files, for those who label elsewhere: what Label Studio and Argilla read, and what they write."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from unicodedata import category

from training_endpoint.errors import BadFile

MOST_TOLD = 20
"""Of more bad rows the first are told."""
COLUMNS = ("item", "text", "label")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """What a file says of an item."""

    where: str
    """`line 7`, or of a JSON list `entry 7`."""
    item: int
    text: str
    """Empty where the file has none."""
    labels: tuple[str, ...]
    """Those that people chose, each once; none where nobody did."""
    labeller: str


class _Bad(Exception):
    """What is wrong with one row."""


def as_csv(rows: Iterable[Row]) -> Iterator[str]:
    """With an empty column for the label. Texts are as they are: what a spreadsheet would take for a formula too."""
    yield _line(COLUMNS)
    for row in rows:
        yield _line((str(row["item"]), row["text"], ""))


def as_jsonl(rows: Iterable[Row]) -> Iterator[str]:
    """An object a line."""
    for row in rows:
        yield json.dumps(_object(row), ensure_ascii=False) + "\n"


def as_json(rows: Iterable[Row]) -> Iterator[str]:
    """One list of the same objects."""
    yield "["
    for number, row in enumerate(rows):
        yield (",\n" if number else "\n") + json.dumps(_object(row), ensure_ascii=False)
    yield "\n]\n"


def read(content: bytes, column: str, *, of_csv: bool) -> list[Said]:
    """What a file says; `column` is the name of what was chosen. Raises `BadFile`, which tells rows by their lines.

    Of JSON it is one list, or an object a line: flat ones as `as_jsonl` writes them, Label Studio's tasks with their
    annotations, or Argilla's records with their responses.
    """
    try:
        whole = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(
            f"The file is not UTF-8 (byte {error.start + 1}): save it as that, then import it again."
        ) from None
    found: list[Said] = []
    bad: list[str] = []
    for where, row in _csv(whole) if of_csv else _json(whole):
        try:
            found.append(_said(where, row, column))
        except _Bad as why:
            bad.append(f"{where}: {why}")
    refuse(bad)
    if found and not any(one.labels for one in found):
        raise BadFile(
            f"No row has a label in {column!r}: where its name is another one, say column=NAME in the address."
        )
    return found


def refuse(bad: list[str]) -> None:
    """Raises `BadFile` where there is anything bad."""
    if bad:
        more = f"; and {len(bad) - MOST_TOLD:,} more" if len(bad) > MOST_TOLD else ""
        raise BadFile(f"Nothing was imported. {'; '.join(bad[:MOST_TOLD])}{more}.")


def printable(text: str) -> bool:
    """Whether it has neither control characters nor halves of surrogate pairs, which no database takes."""
    return not any(category(character) in ("Cc", "Cs") for character in text)


def same_text(one: str, other: str) -> bool:
    """Whether they are one but for blanks and ends of lines, which tools change."""
    return one.split() == other.split()


def _line(cells: Iterable[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerow(cells)
    return stream.getvalue()


def _object(row: Row) -> dict[str, Any]:
    # Argilla keeps `id` as the record's; Label Studio writes its own number over it, and keeps `item`.
    return {"id": str(row["item"]), "item": row["item"], "text": row["text"]}


def _csv(whole: str) -> Iterator[tuple[str, Row | str]]:
    head = whole.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    csv.field_size_limit(max(csv.field_size_limit(), len(whole) + 1))
    reader = csv.reader(io.StringIO(whole, newline=""), delimiter=separator, strict=True)
    names: list[str] | None = None
    begun = 1
    try:
        for cells in reader:
            where, begun = f"line {begun}", reader.line_num + 1
            if not any(cells):
                continue
            if names is None:
                names = [cell.strip() for cell in cells]
                if "item" not in names:
                    raise BadFile("The first line names no column 'item', which the export has: keep it in the file.")
            elif len(cells) != len(names):
                yield where, f"it has {len(cells)} cells, the first line has {len(names)}"
            else:
                yield where, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        yield f"line {begun}", f"it is no CSV ({error})"


def _json(whole: str) -> Iterator[tuple[str, Row | str]]:
    if whole.lstrip()[:1] == "[":
        rows = _loaded(whole)
        if isinstance(rows, str):
            raise BadFile(f"The file is no JSON: {rows}.")
        for number, row in enumerate(rows, 1):
            yield f"entry {number}", row
        return
    for number, line in enumerate(whole.split("\n"), 1):
        if line.strip():
            yield f"line {number}", _loaded(line)


def _loaded(part: str) -> Any:
    """What it holds; of what is no JSON a sentence."""
    try:
        found = json.loads(part)
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as error:
        return f"it is no JSON ({error})"
    return found if isinstance(found, list | dict) else "it is no object"


def _said(where: str, row: Any, column: str) -> Said:
    if isinstance(row, str):
        raise _Bad(row)
    if not isinstance(row, dict):
        raise _Bad("it is no object")
    kind: Callable[[Row, str], Said] = _flat
    if isinstance(row.get("data"), dict):
        kind = _task
    elif isinstance(row.get("fields"), dict):
        kind = _record
    found = kind(row, column)
    return Said(where, found.item, found.text, found.labels, found.labeller)


def _flat(row: Row, column: str) -> Said:
    """Ours, Label Studio's CSV and JSON-MIN, and a table of Argilla's records, where people's answers are a list."""
    chosen = [row.get(column)]
    if isinstance(answers := row.get(f"{column}.responses"), list):
        states = row.get(f"{column}.responses.status")
        states = states if isinstance(states, list) and len(states) == len(answers) else [None] * len(answers)
        chosen = [answer for answer, state in zip(answers, states, strict=True) if state in (None, "submitted")]
    return Said("", _number(row), _text(row.get("text")), _labels(chosen), _who(row))


def _task(row: Row, column: str) -> Said:
    """Label Studio's task: of what people did the results of the control `column`, and not what they cancelled."""
    data, done = row["data"], row.get("annotations")
    chosen = []
    for annotation in done if isinstance(done, list) else []:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        results = annotation.get("result")
        for result in results if isinstance(results, list) else []:
            if isinstance(result, dict) and result.get("from_name") == column:
                chosen.append(result.get("value"))
    return Said("", _number(data), _text(data.get("text")), _labels(chosen), "")


def _record(row: Row, column: str) -> Said:
    """Argilla's record: the answers to the question `column`, and not what was discarded."""
    metadata, responses = row.get("metadata"), row.get("responses")
    given = responses.get(column) if isinstance(responses, dict) else None
    chosen = [
        one.get("value")
        for one in (given if isinstance(given, list) else [])
        if isinstance(one, dict) and one.get("status") in (None, "submitted")
    ]
    named = metadata if isinstance(metadata, dict) and "item" in metadata else {"id": row.get("id")}
    return Said("", _number(named), _text(row["fields"].get("text")), _labels(chosen), "")


def _number(row: Row) -> int:
    """The item; where nothing is called that, the id of the record, as Argilla keeps it."""
    found = row.get("item", row.get("id"))
    written = str(found).strip().removesuffix(".0")  # pandas writes numbers so where one is missing
    if isinstance(found, bool) or not (written.isascii() and written.isdigit() and len(written) < 19):
        raise _Bad("it has no number of an item in 'item'")
    return int(written)


def _text(found: Any) -> str:
    return found if isinstance(found, str) else ""


def _labels(chosen: Iterable[Any]) -> tuple[str, ...]:
    found: list[str] = []
    for one in chosen:
        if isinstance(one, dict):  # Label Studio's value, and what it writes where several may be chosen
            found += _labels([one.get("choices")])
        elif isinstance(one, list):
            found += _labels(one)
        elif isinstance(one, str) and one.startswith('{"choices"') and not isinstance(several := _loaded(one), str):
            found += _labels([several])  # the same in a cell
        elif isinstance(one, float) and one.is_integer():
            found.append(str(int(one)))
        elif isinstance(one, str | int) and not isinstance(one, bool):
            found.append(str(one).strip())
        elif one is not None:
            raise _Bad(f"its label {json.dumps(one)[:40]} is no text")
    return tuple(dict.fromkeys(label for label in found if label))


def _who(row: Row) -> str:
    found = row.get("labeller", row.get("annotator"))
    return found.strip() if isinstance(found, str) and printable(found) else ""
