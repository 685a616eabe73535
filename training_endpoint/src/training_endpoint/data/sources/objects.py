"""Reads json and jsonl files: objects, one a line or over several, in an array or in an object around one."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from training_endpoint.data.sources import encoding, names
from training_endpoint.data.sources.encoding import Text
from training_endpoint.data.sources.file import File
from training_endpoint.data.sources.names import EDGES
from training_endpoint.data.sources.part import Part, Row
from training_endpoint.data.sources.problems import Problems
from training_endpoint.errors import ImportFailed

NO_OBJECT = "lines left out: no JSON object"
WANTED = 'each line, or each element of its array, must be one, such as {"text": "…", "label": "…"}.'
NO_ELEMENT = "elements left out: no JSON object"
LONGEST_ELEMENT = 64 * 1024 * 1024
MOST_COLUMNS = 10_000

Objects = Callable[[Problems], Iterator[dict[str, Any]]]


def read(file: File, wanted: str) -> Part:
    """A .json or .jsonl file: an object a line, an array of them, objects over several lines, or an object around an
    array. Raises `ImportFailed`."""
    text = encoding.find(file, wanted)
    note = (text.note,) if text.note else ()
    first, second = _beginning(text.lines())
    whole = _parsed(first.removesuffix(","))
    if first.startswith("[") and (file.kind == ".json" or whole is None or not second):
        return _part(file, lambda problems: _of_array(text, problems), note)
    if not first.startswith("{") or (second.startswith("{") and not first.endswith("[") if whole is None else second):
        return _part(file, lambda problems: _of_lines(text, problems), note)
    tables, objects = _look(text)
    if len(tables) > 1:
        raise ImportFailed(
            f"{file.name} holds several tables ({', '.join(tables)}): write each into a file of its own."
        )
    if tables:
        note = (*note, f"{file.name}: the rows are those in {tables[0]!r}.")
        return _part(file, lambda problems: _of_member(text, tables[0], problems), note)
    if objects < 2 and whole is None:
        raise ImportFailed(f"{file.name} holds no JSON object for each row, but one in all: {WANTED}")
    return _part(file, lambda problems: _of_stream(text, problems), note)


def begins(lines: Iterable[str]) -> bool:
    """Whether these first lines of a file are JSON objects, or an array of them, whatever it is called."""
    first, second = _beginning(iter(lines))
    value = _parsed(first)
    if isinstance(value, list):
        value = next(iter(value), None)
    return isinstance(value, dict) or (first in ("[", "{", "[{") and second.startswith(("{", '"')))


def _beginning(lines: Iterator[str]) -> tuple[str, str]:
    """The first two lines that hold anything; '' for one that is not there."""
    held = (bare for line in lines if (bare := line.strip().strip(EDGES)))
    return next(held, ""), next(held, "")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _part(file: File, objects: Objects, notes: tuple[str, ...]) -> Part:
    keys: dict[str, None] = {}
    for value in objects(Problems()):
        keys.update(dict.fromkeys(value))
        if len(keys) > MOST_COLUMNS:
            raise ImportFailed(f"{file.name} has more than {MOST_COLUMNS:,} different keys: they are not columns.")
    if not keys:
        raise ImportFailed(f"{file.name} holds no JSON object: {WANTED}")
    own = list(keys)

    def rows(problems: Problems) -> Iterator[Row]:
        return ([value.get(key) for key in own] for value in objects(problems))

    return Part(names.fit(own), rows, name=file.name, notes=notes)


def _of_lines(text: Text, problems: Problems) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.lines(), 1):
        bare = line.strip().strip(EDGES).removesuffix(",")
        if not bare:
            continue
        problems.at(text.file.name, number)
        value = _parsed(bare)
        if isinstance(value, dict):
            yield value
        else:
            problems.add(NO_OBJECT)


def _of_array(text: Text, problems: Problems) -> Iterator[dict[str, Any]]:
    """The array's elements one by one, with no more of the file in memory than one of them needs."""
    reader = _Reader(text)
    yield from _elements(reader, problems)
    reader.skip("")


def _of_member(text: Text, key: str, problems: Problems) -> Iterator[dict[str, Any]]:
    """The elements of the array that stands under `key` in the one object that the file is."""
    reader = _Reader(text)
    for name in reader.members():
        if name == key and reader.next() == "[":
            yield from _elements(reader, problems)
        else:
            reader.element()
    reader.skip("")


def _of_stream(text: Text, problems: Problems) -> Iterator[dict[str, Any]]:
    """Objects one after the other, over as many lines as they take."""
    reader = _Reader(text)
    while reader.next():
        problems.at(text.file.name, reader.count + 1, "element")
        value = reader.element()
        if isinstance(value, dict):
            yield value
        else:
            problems.add(NO_ELEMENT)
        if reader.next() == ",":
            reader.skip(",")


def _elements(reader: "_Reader", problems: Problems) -> Iterator[dict[str, Any]]:
    for number in reader.items("[", "]"):
        problems.at(reader.name, number, "element")
        value = reader.element()
        if isinstance(value, dict):
            yield value
        else:
            problems.add(NO_ELEMENT)


def _look(text: Text) -> tuple[list[str], int]:
    """Of a file that begins with an object: under which of its keys arrays of objects stand, and how many objects
    there are one after the other."""
    reader, tables = _Reader(text), []
    for name in reader.members():
        if reader.next() != "[":
            reader.element()
            continue
        values = [isinstance(reader.element(), dict) for _ in reader.items("[", "]")]
        if any(values):
            tables.append(name)
    return (tables, 1) if not reader.next() else ([], 2)


class _Reader:
    """Decodes one JSON value after the other from text that arrives in pieces."""

    def __init__(self, text: Text) -> None:
        self.name, self.lines, self.decoder = text.file.name, text.lines(), json.JSONDecoder()
        self.buffer, self.at, self.ended, self.count = "", 0, False, 0

    def _more(self, characters: int) -> None:
        pieces = [self.buffer[self.at :]]
        while characters > 0 and not self.ended:
            line = next(self.lines, "")
            self.ended = not line
            pieces.append(line)
            characters -= len(line)
        self.buffer, self.at = "".join(pieces), 0

    def next(self) -> str:
        """The next character that is no blank; '' at the end."""
        while True:
            while self.at < len(self.buffer) and self.buffer[self.at].isspace():
                self.at += 1
            if self.at < len(self.buffer):
                return self.buffer[self.at]
            if self.ended:
                return ""
            self._more(64 * 1024)

    def skip(self, wanted: str) -> None:
        """Moves on behind `wanted`, '' for the end of the file; raises `ImportFailed` where something else stands."""
        if (found := self.next()) != wanted:
            if not wanted:
                raise ImportFailed(f"{self.name}: something stands behind the array ({found!r} …).")
            raise ImportFailed(
                f"{self.name}, after element {self.count:,}: {wanted!r} is missing; the file is damaged."
            )
        self.at += 1

    def items(self, opening: str, closing: str) -> Iterator[int]:
        """Stands before each element in turn, and gives its number; the caller reads it."""
        self.skip(opening)
        number = 0
        while self.next() != closing:
            if number:
                self.skip(",")
                self.next()
            number += 1
            yield number
        self.skip(closing)

    def members(self) -> Iterator[str]:
        """Stands before the value of each key of an object in turn, and gives the key; the caller reads it."""
        for _ in self.items("{", "}"):
            key = self.element()
            self.skip(":")
            self.next()
            yield str(key)

    def element(self) -> Any:
        self.count += 1
        want = 64 * 1024
        while True:
            try:
                value, end = self.decoder.raw_decode(self.buffer, self.at)
                if end < len(self.buffer) or self.ended:
                    self.at = end
                    return value
            except RecursionError as error:
                raise ImportFailed(f"{self.name}, element {self.count:,}, is nested too deeply.") from error
            except ValueError as error:
                if self.ended or "digits" in str(error):
                    raise ImportFailed(f"{self.name}, element {self.count:,}, is no JSON: {error}.") from error
            if len(self.buffer) - self.at > LONGEST_ELEMENT:
                raise ImportFailed(f"{self.name}, element {self.count:,}, is no JSON, or too long.")
            self._more(want)
            want *= 2
