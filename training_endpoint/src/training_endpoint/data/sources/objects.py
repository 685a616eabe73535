"""Reads jsonl files, one object a line, and json files, which hold an array of objects."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from training_endpoint.data.sources import encoding, names
from training_endpoint.data.sources.encoding import Text
from training_endpoint.data.sources.file import File
from training_endpoint.data.sources.part import Part, Row
from training_endpoint.data.sources.problems import Problems
from training_endpoint.errors import ImportFailed

NO_OBJECT = "lines left out: no JSON object"
NO_ELEMENT = "elements left out: no JSON object"
LONGEST_ELEMENT = 64 * 1024 * 1024
MOST_COLUMNS = 10_000

Objects = Callable[[Problems], Iterator[dict[str, Any]]]


def read_lines(file: File, wanted: str) -> Part:
    """A .jsonl file; raises `ImportFailed`."""
    text = encoding.find(file, wanted)
    return _part(file, text, lambda problems: _of_lines(text, problems))


def read(file: File, wanted: str) -> Part:
    """A .json file, an array or, as it is often written, lines; raises `ImportFailed`."""
    text = encoding.find(file, wanted)
    start = next((line.lstrip() for line in text.lines() if line.strip()), "")
    if start.startswith("["):
        return _part(file, text, lambda problems: _of_array(text, problems))
    return _part(file, text, lambda problems: _of_lines(text, problems))


def _part(file: File, text: Text, objects: Objects) -> Part:
    keys: dict[str, None] = {}
    for value in objects(Problems()):
        keys.update(dict.fromkeys(value))
        if len(keys) > MOST_COLUMNS:
            raise ImportFailed(f"{file.name} has more than {MOST_COLUMNS:,} different keys: they are not columns.")
    if not keys:
        raise ImportFailed(f"{file.name} holds no JSON object: each line, or each element of its array, must be one, "
                           'such as {"text": "…", "label": "…"}.')  # fmt: skip
    own = list(keys)

    def rows(problems: Problems) -> Iterator[Row]:
        return ([value.get(key) for key in own] for value in objects(problems))

    return Part(names.fit(own), rows, name=file.name, notes=(text.note,) if text.note else ())


def _of_lines(text: Text, problems: Problems) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.lines(), 1):
        if not line.strip():
            continue
        problems.at(text.file.name, number)
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield value
        else:
            problems.add(NO_OBJECT)


def _of_array(text: Text, problems: Problems) -> Iterator[dict[str, Any]]:
    """The array's elements one by one, with no more of the file in memory than one of them needs."""
    reader = _Reader(text)
    reader.skip("[")
    number = 0
    while not reader.at_end("]"):
        number += 1
        problems.at(text.file.name, number, "element")
        value = reader.element()
        if isinstance(value, dict):
            yield value
        else:
            problems.add(NO_ELEMENT)
    reader.skip("]")
    reader.skip("")


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

    def _next(self) -> str:
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
        if (found := self._next()) != wanted:
            if not wanted:
                raise ImportFailed(f"{self.name}: something stands behind the array ({found!r} …).")
            raise ImportFailed(
                f"{self.name}, after element {self.count:,}: {wanted!r} is missing; the file is damaged."
            )
        self.at += 1

    def at_end(self, closing: str) -> bool:
        """Whether the array ends here; moves on to its next element otherwise."""
        if self._next() == closing:
            return True
        if self.count:
            self.skip(",")
        self._next()
        return False

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
