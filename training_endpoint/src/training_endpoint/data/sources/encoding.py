"""Bytes to text: which encoding a file has, told to people where it had to be assumed."""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from training_endpoint.data.sources.file import File
from training_endpoint.errors import ImportFailed

CHUNK = 1024 * 1024
LONGEST_LINE = 64 * 1024 * 1024
MOST_DAMAGE = 0.01
WESTERN = "cp1252"  # Latin-1 with printable characters where that has none; what Windows and old spreadsheets write
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Zero bytes by their place in a group of four, where most characters are ASCII.
ZEROS: dict[tuple[int, ...], str] = {
    (0, 1, 1, 1): "utf-32-le",
    (1, 1, 1, 0): "utf-32-be",
    (0, 1, 0, 1): "utf-16-le",
    (1, 0, 1, 0): "utf-16-be",
}
NO_TEXT = {b"PK\x03\x04": "a zip or spreadsheet", b"\x1f\x8b": "gzip", b"PAR1": "parquet", b"%PDF": "a PDF"}
CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
HIGH = re.compile(rb"[\x80-\xff]+")
# Half a surrogate pair as some programs write it, its bytes marked as wrong.
HALF_PAIR = re.compile("\udced[\udca0-\udcbf][\udc80-\udcbf]")
# They run and never end, or mean something else than letters.
UNUSABLE = {"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"}
TYPOGRAPHIC = set("‘’“”–—…•€™°£©®«»´·½¼¾§¡¿ªº×\xa0\xad†‡‰‹›„‚²³¢¥¶±")


def _as_western(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler: single bytes that do not fit are taken for cp1252, half a surrogate pair is lost."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.start + 3]
    if re.fullmatch(rb"\xed[\xa0-\xbf][\x80-\xbf]", bad):
        return "\N{REPLACEMENT CHARACTER}", error.start + 3
    one = bad[:1]
    return one.decode(WESTERN, "ignore") or one.decode("latin-1"), error.start + 1


def _damaged_places(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler: what cannot be read is marked, and a last character that was cut is no character."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    cut = error.reason.startswith(("truncated", "unexpected end")) and error.end >= len(error.object)
    return "" if cut else "\N{REPLACEMENT CHARACTER}", error.end


codecs.register_error("as-western", _as_western)
codecs.register_error("damaged-places", _damaged_places)


@dataclass(frozen=True)
class Text:
    """A file and how its bytes become text."""

    file: File
    encoding: str
    errors: str = "strict"
    note: str = ""
    """What was assumed, for people."""

    def lines(self) -> Iterator[str]:
        """Its lines with their ends, which may be \\n, \\r\\n or \\r. Raises `ImportFailed` at damage."""
        number = 0
        with io.TextIOWrapper(self.file.open(), self.encoding, self.errors, newline="") as stream:
            read = iter(partial(stream.readline, LONGEST_LINE + 1), "")
            while True:
                try:
                    line = next(read, "")
                except UnicodeError as error:
                    raise ImportFailed(
                        f"{self.file.name}, after line {number:,}, is not {self.encoding}: correct ENCODING."
                    ) from error
                if not line:
                    return
                number += 1
                if len(line) > LONGEST_LINE:
                    raise ImportFailed(
                        f"{self.file.name}, line {number:,}, is longer than {LONGEST_LINE:,} characters: break it up."
                    )
                yield line.lstrip("\ufeff") if number == 1 else line

    def head(self, characters: int) -> list[str]:
        """Its first whole lines, some `characters` of them."""
        result: list[str] = []
        for line in self.lines():
            result.append(line)
            characters -= len(line)
            if characters < 0:
                break
        return result


def find(file: File, wanted: str) -> Text:
    """How to read `file`; `wanted` is the user's ENCODING or ''. Raises `ImportFailed`."""
    with file.open() as stream:
        start = stream.read(64 * 1024)
    if wanted:
        name = known(wanted)
        if name in ("utf-16", "utf-32") and not start.startswith(tuple(mark for mark, _ in MARKS[1:])):
            name = _by_zeros(start) or f"{name}-le"  # Python's own refuse what has no mark
        return Text(file, name)
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return _checked(Text(file, encoding))
    for magic, kind in NO_TEXT.items():
        if start.startswith(magic):
            raise ImportFailed(f"{file.name} is no text but {kind}: give it the ending of its kind, or convert it.")
    if guessed := _by_zeros(start):
        return _checked(Text(file, guessed), f"{guessed} assumed, since it has no byte order mark")
    if start and len(CONTROLS.findall(start)) > 0.05 * len(start):
        raise ImportFailed(f"{file.name} is no text: it holds control characters. Convert it, or set ENCODING.")
    return _checked(Text(file, "utf-8"))


def known(encoding: str) -> str:
    """Python's name of an encoding; raises `ImportFailed` when it has none."""
    try:
        "".encode(encoding)  # refuses codecs that are not of text, too
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError, UnicodeError):
        name = ""
    if not name or name.replace("_", "-") in UNUSABLE:
        raise ImportFailed(f"ENCODING is {encoding[:50]!r}, which is no encoding: try utf-8, cp1252, cp1251, gb18030 …")
    return name


def _by_zeros(start: bytes) -> str:
    """The encoding of two or four bytes that zeros among ASCII characters give away."""
    groups = len(start) // 4
    if groups < 2 or start.count(0) < 0.05 * len(start):
        return ""
    shares = [start[place : groups * 4 : 4].count(0) / groups for place in range(4)]
    pattern = tuple(int(share > max(shares) / 2) for share in shares)
    return ZEROS.get(pattern, "")


def _checked(text: Text, note: str = "") -> Text:
    """`text` where all of its file fits; otherwise the next best, or `ImportFailed`."""
    name = text.file.name
    decoder = codecs.getincrementaldecoder(text.encoding)("strict")
    read = 0
    with text.file.open() as stream:
        try:
            while chunk := stream.read(CHUNK):
                decoder.decode(chunk)
                read += len(chunk)
            decoder.decode(b"", final=True)
            return Text(text.file, text.encoding, note=f"{name}: {note}." if note else "")
        except UnicodeDecodeError:
            pass
    if text.encoding != "utf-8":
        return _damaged(text, note)
    bad, good, first = _fitting(text.file)
    if good >= bad:
        said = f"{bad:,} places are not UTF-8 and were taken for {WESTERN} (the first: line {first:,})"
        return Text(text.file, "utf-8", "as-western", f"{name}: {said}.")
    example = _western_example(text.file)
    return Text(
        text.file, WESTERN, "as-western",
        f"{name}: {WESTERN} assumed, since it is not UTF-8; it reads {example!r}. If that is wrong, set ENCODING.",
    )  # fmt: skip


def _damaged(text: Text, note: str) -> Text:
    """Text of two or four bytes a character that is cut, or has half a pair."""
    damage = total = first = 0
    for line, chunk in enumerate(Text(text.file, text.encoding, "damaged-places").lines(), 1):
        total += len(chunk)
        damage += chunk.count("\N{REPLACEMENT CHARACTER}")
        first = first or (line if damage else 0)
    if damage > max(1, MOST_DAMAGE * total):
        raise ImportFailed(
            f"{text.file.name} is not {text.encoding}, as which it begins: {damage:,} of {total:,} characters are "
            "damaged. Write it anew as UTF-8, or set ENCODING."
        )
    said = f"{damage:,} characters are damaged and stand as \N{REPLACEMENT CHARACTER} (the first: line {first:,})"
    said = said if damage else "it ends within a character, as if it had been cut"
    return Text(text.file, text.encoding, "damaged-places", f"{text.file.name}: {note + '; ' if note else ''}{said}.")


def _fitting(file: File) -> tuple[int, int, int]:
    """How many bytes are not UTF-8, how many other characters it has beyond ASCII, the first line with such bytes."""
    bad = good = first = 0
    for line, marked in enumerate(Text(file, "utf-8", "surrogateescape").lines(), 1):
        if not marked.isascii():
            text, halves = HALF_PAIR.subn("", marked)
            good += halves
            wrong = sum("\udc80" <= letter <= "\udcff" for letter in text)
            bad += wrong + halves
            good += sum(letter > "\x7f" for letter in text) - wrong
            first = first or (line if wrong or halves else 0)
    return bad, good, first


def _western_example(file: File) -> str:
    """Some words with accents. Raises `ImportFailed` when it looks like another script, whose letters come in runs."""
    example, runs, long, plausible, total = "", 0, 0, 0, 0
    with file.open() as stream:
        for raw in iter(partial(stream.readline, CHUNK), b""):
            found = HIGH.findall(raw)
            if not found:
                continue
            text = raw.decode(WESTERN, "as-western")
            high = [letter for letter in text if letter > "\x7f"]
            runs += len(found)
            long += sum(len(run) > 3 for run in found)
            plausible += sum((letter >= "\xc0" and letter.isalpha()) or letter in TYPOGRAPHIC for letter in high)
            total += len(high)
            example = example or next((word for word in text.split() if not word.isascii()), "")
            if runs > 10_000:
                break
    if long > 0.1 * runs or plausible < 0.8 * total:
        raise ImportFailed(
            f"{file.name} is not UTF-8 and does not look like {WESTERN} either ({example[:40]!r}): set ENCODING to "
            "what it is, such as cp1250, cp1251, gb18030, big5, shift_jis, euc_kr, or write it anew as UTF-8."
        )
    return example[:40]
