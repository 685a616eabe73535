"""What people feed the importer, and what comes of it: each case is a test, and a row of docs/what-is-read.md.

`python -m tests.data_cases` writes that document anew.
"""

import gzip
import io
import json
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

DOCUMENT = Path(__file__).parents[1] / "docs/what-is-read.md"
TEXTS = [
    f"the {what} was {how}, visit {n}"
    for n in range(5)
    for what, how in (("soup", "warm"), ("soup", "cold"), ("room", "clean"), ("room", "filthy"))
]
LABELS = ["good", "bad"] * 10
PAIRS = list(zip(TEXTS, LABELS, strict=True))
NAN = float("nan")
Pairs = list[tuple[str | None, str | None]]


@dataclass(frozen=True)
class Case:
    """Files, and what their import ends in: rows, words that must be said, or a refusal in a sentence."""

    kind: str
    given: str
    """For the document."""
    comes: str
    """The same: what comes of it."""
    files: dict[str, Any]
    rows: Pairs = field(default_factory=lambda: list(PAIRS))
    """Text and label of all rows of both tables."""
    says: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    """Words of the sentence with which the import is refused."""
    test_rows: int | None = None
    columns: tuple[str, ...] = ()
    """Names of columns that the tables must have, beside text and label."""
    types: tuple[str, ...] = ()
    """The SQL types of those columns."""
    what: str = ""
    """The file or folder to import; the first of `files` where empty."""
    settings: dict[str, str] = field(default_factory=dict)
    listed: bool = True
    """Whether the document has it."""


def csv(header: str = "text,label", line: str = '"{t}",{l}', pairs: list[Any] = PAIRS, ends: str = "\n") -> str:
    """A csv file; `line` has {t}, {l} and {n}."""
    return header + ends + "".join(line.format(t=t, l=l, n=n) + ends for n, (t, l) in enumerate(pairs))


def jsonl(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def objects(**more: Any) -> list[dict[str, Any]]:
    return [{"text": text, "label": label, **more} for text, label in PAIRS]


def parquet(columns: dict[str, Any], metadata: bytes | None = None) -> bytes:
    table = pa.table(columns)
    if metadata is not None:
        table = table.replace_schema_metadata({b"huggingface": metadata})
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def typed(**columns: Any) -> bytes:
    return parquet({"text": TEXTS, "label": LABELS, **columns})


def zipped(**members: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def texts(pairs: list[Any] = PAIRS, above: str = "", ending: str = "\n") -> dict[str, Any]:
    """A folder for each class."""
    return {f"d/{above}{label}/{n}.txt": text + ending for n, (text, label) in enumerate(pairs)}


def without(every: int) -> Pairs:
    """The pairs, the label of each `every`th gone."""
    return [(text, None if n % every == 0 else label) for n, (text, label) in enumerate(PAIRS)]


BODY = [(text, label) for text, label in PAIRS]
ALTERED = [(text.replace(", visit", " on visit"), label) for text, label in PAIRS]
LONG = "Please rate each of the following statements about our customer service team today"
ACCENTS = [(text.replace("soup", "café crème"), label) for text, label in PAIRS]
CYRILLIC = [(f"отличный сервис, визит {n}", "хорошо" if n % 2 else "плохо") for n in range(20)]
CLASS_LABEL = {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}


def hub(features: Any) -> bytes:
    return json.dumps({"info": {"features": features}}).encode()


def numbered(metadata: bytes) -> bytes:
    return parquet({"text": TEXTS, "label": [int(label == "good") for label in LABELS]}, metadata)


NUMBERED: Pairs = [(text, str(int(label == "good"))) for text, label in PAIRS]
E = "imported"
NAMES = [
    Case("names", "accents in cp1252", E, {"r.csv": csv("text;catégorie", "{t};{l}").encode("cp1252")}, columns=("catégorie",)),
    Case("names", "`xmin`, `ctid`, which PostgreSQL keeps for itself", "`xmin_`, `ctid_`", {"r.csv": csv("text,label,xmin,ctid,tableoid", '"{t}",{l},1,2,3')}, columns=("xmin_", "ctid_", "tableoid_")),
    Case("names", "more than 63 bytes", "cut to 63 bytes", {"r.csv": csv(f'text,label,"{LONG}"', '"{t}",{l},1')}, columns=(LONG[:63],)),
    Case("names", "more than 63 bytes, cut within a character", "cut before that character", {"r.csv": csv(f'text,label,{"é" * 40}', '"{t}",{l},1')}, columns=("é" * 31,)),
    Case("names", "equal in their first 63 bytes", "told apart by a number", {"r.csv": csv(f"text,label,{LONG}: a,{LONG}: b", '"{t}",{l},1,2')}, columns=(LONG[:63], LONG[:61] + "_4")),
    Case("names", "`a, a_5, a`: equal after renaming", "all different", {"r.csv": csv("text,label,a,a_5,a", '"{t}",{l},1,2,3')}, columns=("a", "a_5", "a_6")),
    Case("names", "empty", "`column_N`", {"r.csv": csv(",text,label", '{n},"{t}",{l}'), }, columns=("column_1",)),
    Case("names", "an empty key (jsonl)", "`column_N`", {"r.jsonl": jsonl({"": 1, "text": t, "label": l} for t, l in PAIRS)}, columns=("column_1",)),
    Case("names", "a NUL in them", "without it", {"r.csv": csv("te\0xt,label")}),
    Case("names", "half a surrogate pair in a key", "without it", {"r.jsonl": jsonl(objects(**{"a\ud800b": 1}))}, columns=("ab",)),
    Case("names", "half a surrogate pair and nothing else", "`column_N`", {"r.jsonl": jsonl(objects(**{"\udfff": 1}))}, columns=("column_3",)),
    Case("names", "quotes, percent signs, braces, SQL", "as they are", {"r.csv": csv('text,label,"a""b; DROP TABLE x; --%s{}"', '"{t}",{l},1')}, columns=('a"b; DROP TABLE x; --%s{}',)),
    Case("names", "blanks, tabs and line ends around and in them", "blanks around go", {"r.csv": csv('"text "," label\t","two\nlines"', '"{t}",{l},1')}, columns=("two\nlines",)),
    Case("names", "other scripts, emoji, key words", "as they are", {"r.csv": csv("text,label,наименование,列,🙂,select,user", '"{t}",{l},1,2,3,4,5')}, columns=("наименование", "列", "🙂", "select", "user")),
    Case("names", "capitals that differ", "two columns", {"r.csv": csv("text,label,Note,note", '"{t}",{l},1,2')}, columns=("Note", "note")),
    Case("names", "TEXT_COLUMN as long as it stands in the file", "the column is found", {"r.csv": csv(f'"{LONG}",label')}, settings={"TEXT_COLUMN": LONG}),
    Case("names", "over 1,000 columns", "refused", {"r.csv": csv("text,label," + ",".join(f"c{n}" for n in range(1200)), '"{t}",{l}' + "," * 1200)}, refused=("1,202 columns",)),
    Case("names", "the same two and what the second would become", "that name stays its own's", {"r.csv": csv("text,label,a,a,a_4", '"{t}",{l},1,2,x')}, columns=("a", "a_5", "a_4"), types=("bigint", "bigint", "text")),
    Case("names", "900 columns that PostgreSQL cannot hold in a row", "refused, with the place", {"r.csv": csv("text,label," + ",".join(f"c{n}" for n in range(900)), '"{t}",{l}' + ",some words of text" * 900)}, refused=("r.csv, line", "PostgreSQL cannot hold this (row is too big")),
    Case("names", "the same two (parquet)", "told apart by a number", {"r.parquet": (lambda out: (pq.write_table(pa.Table.from_arrays([pa.array(TEXTS), pa.array(LABELS), pa.array(LABELS)], names=["text", "label", "label"]), out), out.getvalue())[1])(io.BytesIO())}, columns=("label_3",)),
]  # fmt: skip
NUMBERS = [
    Case("numbers", "digits of other scripts", "text", {"r.csv": csv("text,label,stars", '"{t}",{l},۴.۵')}, columns=("stars",), types=("text",)),
    Case("numbers", "whole numbers in other digits", "text", {"r.csv": csv("text,label,stars", '"{t}",{l},٤٢')}, columns=("stars",), types=("text",)),
    Case("numbers", "`1.5e999`, larger than a double", "text", {"r.csv": csv("text,label,x", '"{t}",{l},1.5e999')}, columns=("x",), types=("text",)),
    Case("numbers", "`1.5e-999`, smaller than a double", "text", {"r.csv": csv("text,label,x", '"{t}",{l},1.5e-999')}, columns=("x",), types=("text",)),
    Case("numbers", "more digits than a double holds", "text", {"r.csv": csv("text,label,x", '"{t}",{l},3.14159265358979323846264')}, columns=("x",), types=("text",)),
    Case("numbers", "decimals", "double precision", {"r.csv": csv("text,label,x", '"{t}",{l},-{n}.25')}, columns=("x",), types=("double precision",)),
    Case("numbers", "whole numbers", "bigint", {"r.csv": csv("text,label,x", '"{t}",{l},{n}')}, columns=("x",), types=("bigint",)),
    Case("numbers", "leading zeros, plus signs", "text", {"r.csv": csv("text,label,x,y", '"{t}",{l},007,+5')}, columns=("x", "y"), types=("text", "text")),
    Case("numbers", "19 digits and more", "text in csv, numeric in jsonl", {"r.csv": csv("text,label,x", '"{t}",{l},9223372036854775808')}, columns=("x",), types=("text",)),
    Case("numbers", "whole numbers of thousands of digits (jsonl)", "numeric", {"r.jsonl": jsonl(objects(n=int("9" * 4000)))}, columns=("n",), types=("numeric",)),
    Case("numbers", "whole numbers that no double holds beside decimals", "numeric", {"r.jsonl": jsonl({**row, "n": 2**60 + 1 if n % 2 else 0.5} for n, row in enumerate(objects()))}, columns=("n",), types=("numeric",)),
    Case("numbers", "`Infinity` (jsonl)", "double precision", {"r.jsonl": jsonl(objects(x=float("inf")))}, columns=("x",), types=("double precision",)),
    Case("numbers", "years from 10000 (parquet)", "text", {"r.parquet": typed(until=pa.array([253402300800000000] * 20, pa.timestamp("us")))}, columns=("until",), types=("text",)),
    Case("numbers", "dates from year 10000 (parquet)", "text", {"r.parquet": typed(until=pa.array([2932897] * 20, pa.date32()))}, columns=("until",), types=("text",)),
    Case("numbers", "nanoseconds (parquet)", "timestamp, or text where a microsecond is too coarse", {"r.parquet": typed(a=pa.array([1_000] * 20, pa.timestamp("ns")), b=pa.array([1] * 20, pa.timestamp("ns")))}, columns=("a", "b"), types=("timestamp without time zone", "text")),
    Case("numbers", "intervals (parquet)", "text", {"r.parquet": typed(a=[timedelta(days=2)] * 20, b=pa.array([2**62] * 20, pa.duration("s")))}, columns=("a", "b"), types=("text", "text")),
    Case("numbers", "dates, times, moments, decimals, booleans (parquet)", "their own types", {"r.parquet": typed(a=[date(2026, 1, 2)] * 20, b=[time(3, 4)] * 20, c=[datetime(2026, 1, 2, tzinfo=UTC)] * 20, d=[Decimal("1.50")] * 20, e=[True] * 20)}, columns=("a", "b", "c", "d", "e"), types=("date", "time without time zone", "timestamp with time zone", "numeric", "boolean")),
    Case("numbers", "unsigned 64 bits (parquet)", "numeric", {"r.parquet": typed(a=pa.array([2**64 - 1] * 20, pa.uint64()))}, columns=("a",), types=("numeric",)),
    Case("numbers", "a zone that nobody knows (parquet)", "the same moments", {"r.parquet": typed(a=pa.array([0] * 20, pa.timestamp("us", "Nowhere/Town")))}, columns=("a",), types=("timestamp with time zone",)),
    Case("numbers", "more than numeric holds", "refused, with its place", {"r.parquet": parquet({"text": TEXTS, "label": LABELS, "x": pa.array([2.0] * 20)}), "r.jsonl": jsonl(objects(x=1)).replace('"x": 1', '"x": 1e400')}, what="r.jsonl", columns=("x",), types=("double precision",), listed=False),
    Case("numbers", "versions as labels: 1.1, 1.10", "two labels, as text", {"r.csv": csv(pairs=[(t, "1.1" if l == "bad" else "1.10") for t, l in PAIRS])}, rows=[(t, "1.1" if l == "bad" else "1.10") for t, l in PAIRS]),
    Case("numbers", "-0.0", "text", {"r.csv": csv("text,label,x", '"{t}",{l},-0.0')}, columns=("x",), types=("text",)),
    Case("numbers", "labels -0.0 and 0.0 and 1.0 (parquet)", "labels 0 and 1", {"r.parquet": parquet({"text": TEXTS, "label": [1.0 if l == "good" else (-0.0, 0.0)[n % 4 // 2] for n, l in enumerate(LABELS)]})}, rows=NUMBERED),
    Case("numbers", "labels 1.0 and 0.0", "labels 1 and 0", {"r.csv": csv(pairs=[(t, "1.0" if l == "good" else "0.0") for t, l in PAIRS])}, rows=NUMBERED),
]  # fmt: skip
ENCODINGS = [
    Case("encodings", "UTF-8, with or without a byte order mark", E, {"r.csv": csv(pairs=ACCENTS).encode("utf-8-sig")}, rows=ACCENTS),
    Case("encodings", "UTF-16 with a mark", E, {"r.csv": csv(pairs=ACCENTS).encode("utf-16")}, rows=ACCENTS),
    Case("encodings", "UTF-16, big end first, with a mark", E, {"r.csv": b"\xfe\xff" + csv(pairs=ACCENTS).encode("utf-16-be")}, rows=ACCENTS, listed=False),
    Case("encodings", "UTF-16 without a mark", "imported, and the assumption told", {"r.csv": csv(pairs=ACCENTS).encode("utf-16-le")}, rows=ACCENTS, says=("utf-16-le assumed",)),
    Case("encodings", "the same, big end first", "imported, and the assumption told", {"r.csv": csv(pairs=ACCENTS).encode("utf-16-be")}, rows=ACCENTS, says=("utf-16-be assumed",), listed=False),
    Case("encodings", "UTF-16 without a mark, other scripts", "imported, and the assumption told", {"r.csv": csv(pairs=CYRILLIC).encode("utf-16-le")}, rows=CYRILLIC, says=("utf-16-le assumed",)),
    Case("encodings", "UTF-32 with a mark", E, {"r.csv": csv(pairs=ACCENTS).encode("utf-32")}, rows=ACCENTS),
    Case("encodings", "UTF-32 without a mark", "imported, and the assumption told", {"r.csv": csv(pairs=ACCENTS).encode("utf-32-le")}, rows=ACCENTS, says=("utf-32-le assumed",)),
    Case("encodings", "UTF-16 that is cut within a character", "imported; the damage is told with its line", {"r.csv": csv(pairs=ACCENTS).encode("utf-16") + b"\n"}, rows=ACCENTS, says=("1 characters are damaged", "line 22", "left out")),
    Case("encodings", "UTF-16 with half a surrogate pair", "imported; the damage is told with its line", {"r.csv": csv(pairs=[("x\ud800y", "good"), *PAIRS]).encode("utf-16-le", "surrogatepass").join((b"\xff\xfe", b""))}, rows=[("x\ufffdy", "good"), *PAIRS], says=("1 characters are damaged", "line 2")),
    Case("encodings", "a mark of UTF-16 before something else", "refused", {"r.csv": b"\xff\xfe" + b"\x00\xd8" * 50}, refused=("r.csv is not utf-16-le", "damaged")),
    Case("encodings", "cp1252 or Latin-1", "imported, and the assumption told", {"r.csv": csv(pairs=ACCENTS).encode("cp1252")}, rows=ACCENTS, says=("cp1252 assumed", "'café'", "set ENCODING")),
    Case("encodings", "cp1252 with its quotes and dashes", "imported, and the assumption told", {"r.csv": csv(pairs=[(f"“{t}” – café", l) for t, l in PAIRS]).encode("cp1252")}, rows=[(f"“{t}” – café", l) for t, l in PAIRS], says=("cp1252 assumed",)),
    Case("encodings", "UTF-8 with some bytes of cp1252", "imported as both; told with the line", {"r.csv": csv(pairs=ACCENTS).encode() + "crème,good\n".encode("cp1252")}, rows=[*ACCENTS, ("crème", "good")], says=("1 places are not UTF-8", "line 22")),
    Case("encodings", "half a surrogate pair as UTF-8", "\N{REPLACEMENT CHARACTER}, told with the line", {"r.csv": csv().encode() + b"a\xed\xa0\x80b,good\n"}, rows=[*PAIRS, ("a\ufffdb", "good")], says=("not UTF-8", "line 22")),
    Case("encodings", "cp1251 and other scripts", "refused: ENCODING must be set", {"r.csv": csv(pairs=CYRILLIC).encode("cp1251")}, refused=("r.csv is not UTF-8", "set ENCODING")),
    Case("encodings", "Shift-JIS, GBK, Big5 …", "refused: ENCODING must be set", {"r.csv": csv(pairs=[(f"とても良い店 {n}", "良" if n % 2 else "悪") for n in range(20)]).encode("shift_jis")}, refused=("r.csv is not UTF-8", "set ENCODING")),
    Case("encodings", "any of Python's, with ENCODING=cp1251", E, {"r.csv": csv(pairs=CYRILLIC).encode("cp1251")}, rows=CYRILLIC, settings={"ENCODING": "cp1251"}),
    Case("encodings", "something else than ENCODING says", "refused, with the line", {"r.csv": csv().encode() + b"\xff,good\n"}, refused=("r.csv, after line", "is not ascii", "ENCODING"), settings={"ENCODING": "ascii"}),
    Case("encodings", "ENCODING that Python does not know", "refused", {"r.csv": csv()}, refused=("ENCODING is 'klingon'",), settings={"ENCODING": "klingon"}),
    Case("encodings", "ENCODING that is no text's (rot13, base64)", "refused", {"r.csv": csv()}, refused=("ENCODING is 'base64'",), settings={"ENCODING": "base64"}),
    Case("encodings", "a spreadsheet or zip called .csv", "refused", {"r.csv": zipped(a="b")}, refused=("r.csv is no text but a zip or spreadsheet",)),
    Case("encodings", "other bytes called .csv", "refused", {"r.csv": bytes(range(32)) * 50}, refused=("r.csv is no text",)),
    Case("encodings", "jsonl in UTF-16 or cp1252", "as csv", {"r.jsonl": "".join(json.dumps({"text": t, "label": l}, ensure_ascii=False) + "\n" for t, l in ACCENTS).encode("cp1252")}, rows=ACCENTS, says=("cp1252 assumed",)),
    Case("encodings", "NUL characters in texts", "they go, and are told with the line", {"r.csv": csv() + "nul\0l,good\n"}, rows=[*PAIRS, ("null", "good")], says=("NUL characters removed", "line 22")),
]  # fmt: skip
STRAY = "text,label\n" + "".join(
    ('"' if n in (3, 30) else "") + f"line {n} of text,{label}\n" for n, label in enumerate(LABELS * 2)
)
CSVS = [
    Case("csv", "commas, semicolons, tabs or pipes", "found over several rows", {"r.csv": csv("text|label", "{t}|{l}")}),
    Case("csv", "semicolons, commas in quoted names", "separator ;", {"r.csv": csv('"text, as written, in full";label', "{t};{l}")}),
    Case("csv", "semicolons and decimal commas", "separator ;", {"r.csv": csv("text;x;label", "{t};1,5;{l}")}, columns=("x",), types=("text",)),
    Case("csv", "tabs in a .csv", "separator tab", {"r.csv": csv("text\tlabel", "{t}\t{l}")}),
    Case("csv", "commas, pipes in the texts", "separator ,", {"r.csv": csv(pairs=[(t.replace(",", " |"), l) for t, l in PAIRS])}, rows=[(t.replace(",", " |"), l) for t, l in PAIRS]),
    Case("csv", "Excel's `sep=;`", "the line is skipped", {"r.csv": "sep=;\n" + csv("text;label", "{t};{l}")}),
    Case("csv", "blank lines first, or lines of separators alone", "skipped", {"r.csv": "\n \n,,\n" + csv()}),
    Case("csv", "blank lines between rows", "skipped", {"r.csv": csv(ends="\n\n")}),
    Case("csv", "a title above the header", "passed over, and told", {"r.csv": "Our guests 2026\n\n" + csv("text;label;n", "{t};{l};{n}")}, says=("above the header", "Our guests 2026")),
    Case("csv", "no header", "`column_N`, and told", {"r.csv": csv("x").partition("\n")[2]}, says=("no header", "counts as a row")),
    Case("csv", "no header, numbers first", "`column_N`, and told", {"r.csv": csv("x", '{n},"{t}",{l}').partition("\n")[2]}, says=("no header",)),
    Case("csv", "the header again among the rows", "left out, and counted", {"r.csv": csv() + "text,label\n"}, says=("1 rows left out: they repeat the header", "line 22")),
    Case("csv", "blanks before and after quotes", "they do not count", {"r.csv": csv("text, label", '"{t}" , "{l}"')}),
    Case("csv", "single quotes around cells", "they are quotes", {"r.csv": csv("'text','label'", "'{t}','{l}'")}),
    Case("csv", "quotes escaped by a backslash", "quotes", {"r.csv": csv(line='"he said \\"{t}\\" to me",{l}')}, rows=[(f'he said "{t}" to me', l) for t, l in PAIRS]),
    Case("csv", "doubled quotes, line ends in quotes", "as they should be", {"r.csv": csv(line='"a ""{t}""\nb",{l}')}, rows=[(f'a "{t}"\nb', l) for t, l in PAIRS]),
    Case("csv", "stray quotes that would swallow rows", "taken for text, all rows kept, and told with the line", {"r.csv": STRAY}, rows=[(('"' if n in (3, 30) else "") + f"line {n} of text", l) for n, l in enumerate(LABELS * 2)], says=("2 rows with a stray quote", "line 5")),
    Case("csv", "a quote that never ends", "taken for text, all rows kept, and told with the line", {"r.csv": csv(line="{t}x,{l}".replace(", ", " "), pairs=[(t.replace(",", ""), l) for t, l in PAIRS]) + '"open,good\nlast,bad\n'}, rows=[*((t.replace(",", "") + "x", l) for t, l in PAIRS), ('"open', "good"), ("last", "bad")], says=("1 rows with a stray quote", "line 22")),
    Case("csv", "stray quotes that enclose whole rows as a cell", "told with the line", {"r.csv": "text,label\n" + "".join(f"line {n},{l}\n" for n, l in enumerate(LABELS)) + '"line 20,good\nline 21,bad\nline 22",good\n'}, rows=[*((f"line {n}", l) for n, l in enumerate(LABELS)), ("line 20,good\nline 21,bad\nline 22", "good")], says=("a quote may be missing", "line 22")),
    Case("csv", "quotes within a cell", "text", {"r.csv": csv(pairs=[(t.replace(",", ""), l) for t, l in PAIRS]) + 'so "good" it is,good\n"very" good,good\n'}, rows=[*((t.replace(",", ""), l) for t, l in PAIRS), ('so "good" it is', "good"), ('"very" good', "good")], says=("1 rows with a stray quote",)),
    Case("csv", "rows of another width", "left out, counted, with the first line", {"r.csv": csv() + "one\na,b,c\n"}, says=("2 rows left out: not the 2 cells", "line 22")),
    Case("csv", "separators at the end of rows", "they do not count", {"r.csv": csv(line='"{t}",{l},,')}),
    Case("csv", "rows of empty cells", "left out, and counted", {"r.csv": csv() + ",\n,\n"}, says=("2 rows left out: no cell holds anything",)),
    Case("csv", "line ends \\r or \\r\\n", E, {"r.csv": csv(ends="\r")}),
    Case("csv", "line ends \\r\\n", E, {"r.csv": csv(ends="\r\n").encode()}, listed=False),
    Case("csv", "no line end after the last row", E, {"r.csv": csv().rstrip("\n")}),
    Case("csv", "a cell of a megabyte", E, {"r.csv": csv() + "x" * 1_000_000 + ",good\n"}, rows=[*PAIRS, ("x" * 1_000_000, "good")]),
    Case("csv", "an empty file", "refused", {"r.csv": ""}, refused=("r.csv is empty",)),
    Case("csv", ".tsv: tabs, quotes are part of the text", E, {"r.tsv": csv("text\tlabel", '"{t} "so"\t{l}')}, rows=[(f'"{t} "so"', l) for t, l in PAIRS]),
    Case("csv", ".tsv with quotes around tabs or line ends", "they are quotes", {"r.tsv": csv("text\tlabel", '"{t}\nand\tmore"\t{l}')}, rows=[(f"{t}\nand\tmore", l) for t, l in PAIRS]),
]  # fmt: skip
NULLS = [
    Case("no value", "empty cells (csv)", "null", {"r.csv": csv(pairs=[(t, l or "") for t, l in without(7)])}, rows=without(7), says=("rows have no label",)),
    Case("no value", "blank cells (csv)", "null", {"r.csv": csv(pairs=[(t, l or "  ") for t, l in without(7)])}, rows=without(7)),
    Case("no value", 'empty texts, `""` (jsonl)', "null", {"r.jsonl": jsonl({"text": t, "label": l or ""} for t, l in without(7))}, rows=without(7)),
    Case("no value", "NaN among labels (jsonl)", "null", {"r.jsonl": jsonl({"text": t, "label": l or NAN} for t, l in without(7))}, rows=without(7)),
    Case("no value", "null and missing keys (jsonl)", "null", {"r.jsonl": jsonl({"text": t, **({"label": l} if l else {} if n % 2 else {"label": None})} for n, (t, l) in enumerate(without(7)))}, rows=without(7)),
    Case("no value", "NaN among texts (jsonl)", "null", {"r.jsonl": jsonl({"text": t if l else NAN, "label": m} for (t, l), m in zip(without(5), LABELS, strict=True))}, rows=[(t if l else None, m) for (t, l), m in zip(without(5), LABELS, strict=True)], says=("rows have no text",)),
    Case("no value", "NaN among numbers (parquet)", "null", {"r.parquet": parquet({"text": TEXTS, "label": pa.array([float(l == "good") if l else NAN for _, l in without(7)])})}, rows=[(t, None if l is None else str(int(l == "good"))) for t, l in without(7)]),
    Case("no value", "`nan`, `NA`, `n/a`, `null`, `None` beside numbers", "null", {"r.csv": csv(pairs=[(t, str(int(l == "good")) if l else ("nan", "NA", "N/A", "null", "None")[n % 5]) for n, (t, l) in enumerate(without(4))])}, rows=[(t, None if l is None else str(int(l == "good"))) for t, l in without(4)]),
    Case("no value", "the same words among words", "words: `none` may be a class", {"r.csv": csv(pairs=[(t, l or "none") for t, l in without(4)])}, rows=[(t, l or "none") for t, l in without(4)]),
    Case("no value", '`"nan"` beside numbers (jsonl)', "null", {"r.jsonl": jsonl({"text": t, "label": "nan" if l is None else int(l == "good")} for t, l in without(4))}, rows=[(t, None if l is None else str(int(l == "good"))) for t, l in without(4)]),
    Case("no value", "`\\N`, as databases write it", "null", {"r.csv": csv(pairs=[(t, l or r"\N") for t, l in without(7)])}, rows=without(7)),
    Case("no value", "-1 where classes are declared", "null", {"r.parquet": parquet({"text": TEXTS, "label": [-1 if l is None else int(l == "good") for _, l in without(7)]}, hub(CLASS_LABEL))}, rows=without(7)),
    Case("no value", "-1 where none are", "a class like others", {"r.csv": csv(pairs=[(t, "1" if l == "good" else "-1") for t, l in PAIRS])}, rows=[(t, "1" if l == "good" else "-1") for t, l in PAIRS]),
    Case("no value", "blanks around labels", "they go", {"r.csv": csv(pairs=[(t, l + " " * (n % 3)) for n, (t, l) in enumerate(PAIRS)])}),
    Case("no value", "labels that differ in capitals", "two classes, and told", {"r.csv": csv(pairs=[(t, "Good" if n == 2 else l) for n, (t, l) in enumerate(PAIRS)])}, rows=[(t, "Good" if n == 2 else l) for n, (t, l) in enumerate(PAIRS)], says=("'Good'", "different classes")),
    Case("no value", "a test part whose labels are all -1", "passed over, and told", {"d/train.csv": csv(), "d/test.csv": csv(pairs=[(t + "!", -1) for t in TEXTS]), "d/dev.csv": csv(pairs=ALTERED)}, what="d", rows=[*PAIRS, *ALTERED], test_rows=20, says=("test.csv has no label that the training rows have",)),
    Case("no value", "a test part without labels", "passed over, and told", {"d/train.csv": csv(), "d/test.csv": csv("text,id", pairs=[(t + "!", 1) for t in TEXTS])}, what="d", test_rows=4, says=("test.csv has no label",)),
    Case("no value", "only one class has a value", "refused", {"r.csv": csv(pairs=[(t, l if l == "good" else "") for t, l in PAIRS])}, refused=("one value only, 'good'",)),
    Case("no value", "no label at all", "refused", {"r.csv": csv(pairs=[(t, "") for t in TEXTS])}, refused=("No column of the dataset looks like a label",)),
]  # fmt: skip
TYPED = [
    Case("typed", "bytes that are UTF-8", "text", {"r.parquet": parquet({"text": pa.array([t.encode() for t in TEXTS], pa.binary()), "label": LABELS})}),
    Case("typed", "labels as bytes", "text", {"r.parquet": parquet({"text": TEXTS, "label": pa.array([l.encode() for l in LABELS], pa.large_binary())})}),
    Case("typed", "other bytes", "bytea", {"r.parquet": typed(image=[b"\xff\xd8\x00"] * 20)}, columns=("image",), types=("bytea",)),
    Case("typed", "other bytes as the text", "refused", {"r.parquet": parquet({"text": [b"\xff\xfe" + t.encode() for t in TEXTS], "label": LABELS})}, refused=("'text' holds bytes that are not UTF-8",), settings={"TEXT_COLUMN": "text"}),
    Case("typed", "texts that are not UTF-8 (parquet)", "as bytes", {"r.parquet": typed(note=pa.array([b"caf\xe9"] * 20, pa.binary()).view(pa.binary()))}, columns=("note",), types=("bytea",)),
    Case("typed", "the hub's class names", "labels by name", {"r.parquet": numbered(hub(CLASS_LABEL))}),
    Case("typed", "the hub's words on other features, lists too", "class names are used", {"r.parquet": numbered(hub({**CLASS_LABEL, "tags": [{"dtype": "string", "_type": "Value"}]}))}),
    Case("typed", "the hub's words damaged", "passed over, and told", {"r.parquet": numbered(b"{not json")}, rows=NUMBERED, says=("r.parquet", "not understood")),
    Case("typed", "the hub's words of another shape", "passed over, and told", {"r.parquet": numbered(b"[1]")}, rows=NUMBERED, says=("not understood",), listed=False),
    Case("typed", "class names missing", "passed over, and told", {"r.parquet": numbered(hub({"label": {"_type": "ClassLabel"}}))}, rows=NUMBERED, says=("not understood",)),
    Case("typed", "class names that are none", "passed over, and told", {"r.parquet": numbered(hub({"label": {"_type": "ClassLabel", "names": [1, 2]}}))}, rows=NUMBERED, says=("not understood",), listed=False),
    Case("typed", "a feature that is a word", "passed over", {"r.parquet": numbered(hub({"label": "x"}))}, rows=NUMBERED),
    Case("typed", "numbers declared for a column that is gone", "passed over", {"r.parquet": numbered(hub({"mood": CLASS_LABEL["label"]}))}, rows=NUMBERED, listed=False),
    Case("typed", "lists as labels", "refused", {"r.jsonl": jsonl({"text": t, "label": [l]} for t, l in PAIRS)}, refused=("'label' holds lists or objects", "LABEL_COLUMN")),
    Case("typed", "lists as labels (parquet)", "refused", {"r.parquet": parquet({"text": TEXTS, "labels": [[0, 1]] * 20})}, refused=("'labels' holds lists",), listed=False),
    Case("typed", "objects as labels", "refused", {"r.jsonl": jsonl({"text": t, "label": {"a": l}} for t, l in PAIRS)}, refused=("'label' holds lists or objects",)),
    Case("typed", "lists as the text", "refused", {"r.jsonl": jsonl({"text": t.split(), "label": l} for t, l in PAIRS)}, refused=("'text' holds lists or objects", "TEXT_COLUMN"), settings={"TEXT_COLUMN": "text"}),
    Case("typed", "lists and objects elsewhere", "JSON text", {"r.jsonl": jsonl(objects(tags=["a", {"b": None}]))}, columns=("tags",), types=("text",)),
    Case("typed", "booleans as labels", "true, false", {"r.jsonl": jsonl({"text": t, "label": l == "good"} for t, l in PAIRS)}, rows=[(t, str(l == "good").lower()) for t, l in PAIRS]),
    Case("typed", "dictionary-coded columns", "their values", {"r.parquet": parquet({"text": TEXTS, "label": pa.array(LABELS).dictionary_encode()})}),
    Case("typed", "columns of nothing but nulls", "text", {"r.parquet": typed(x=pa.nulls(20))}, columns=("x",), types=("text",)),
    Case("typed", "numbers and words in one column (jsonl)", "text", {"r.jsonl": jsonl({**row, "x": (1, "b", True, 0.5, None)[n % 5]} for n, row in enumerate(objects()))}, columns=("x",), types=("text",)),
    Case("typed", "a damaged parquet file", "refused", {"r.parquet": typed()[:-20]}, refused=("r.parquet is not a parquet file, or damaged",)),
    Case("typed", "lines that are no JSON objects", "left out, counted, with the first line", {"r.jsonl": jsonl(objects()) + "not json\n[1]\n" + "[" * 100_000 + "\n"}, says=("3 lines left out: no JSON object", "line 21")),
    Case("typed", "no JSON object at all", "refused", {"r.jsonl": "nothing\n"}, refused=("r.jsonl holds no JSON object",)),
    Case("typed", "a .json array", E, {"r.json": json.dumps(objects(), indent=1)}),
    Case("typed", "a .json array with other elements", "left out, counted, with the first", {"r.json": json.dumps([*objects(), 1, [2]])}, says=("2 elements left out", "element 21")),
    Case("typed", "a .json file of lines", "as jsonl", {"r.json": jsonl(objects())}),
    Case("typed", "a .json array that is cut", "refused, with the element", {"r.json": json.dumps(objects())[:-9]}, refused=("r.json, element 20",)),
    Case("typed", "a .json object", "refused", {"r.json": json.dumps({"text": 1}, indent=1)}, refused=("r.json holds no JSON object",)),
]  # fmt: skip


def three(*names: str) -> dict[str, Any]:
    """Files of 20 rows each, all different."""
    return {f"d/{name}": csv(pairs=[(f"{t} in {name}", l) for t, l in PAIRS]) for name in names}


def rows_of(*names: str) -> Pairs:
    return [(f"{t} in {name}", l) for name in names for t, l in PAIRS]


def folder(
    given: str, comes: str, *names: str, test: int = 0, says: tuple[str, ...] = (), rows: tuple[str, ...] = ()
) -> Case:
    """A case of files by their names alone; `test`: how many rows are for the test, 0 for one in five."""
    read = rows or names
    return Case("files", given, comes, three(*names), rows_of(*read), says, what="d", test_rows=test or 4 * len(read))


GZ = gzip.compress(csv().encode())
FILES = [
    folder("`train.csv`, `test.csv`", "training and test", "train.csv", "test.csv", test=20),
    folder("`testimonials.csv`, `values.csv`, `evaluation_notes.csv`, `latest.csv`, `devices.csv`", "training: `test` is a word, not a beginning", "customers.csv", "testimonials.csv", "values.csv", "evaluation_notes.csv", "latest.csv", "devices.csv", says=("no test part",)),
    folder("`my-test.csv`, `Test1.CSV`, `sentimentTest.csv`", "the test part", "a.csv", "my-test.csv", "Test1.CSV", "sentimentTest.csv", test=60),
    folder("`train-00000-of-00002.csv`, `validation-00000-of-00001.csv`", "training and test", "train-00000-of-00002.csv", "train-00001-of-00002.csv", "validation-00000-of-00001.csv", test=20),
    folder("`train/a.csv`, `test/a.csv`", "folders say it too", "train/a.csv", "test/a.csv", test=20),
    folder("`test.csv` and `dev.csv`", "the test is from `test.csv`; `dev.csv` is passed over, and told", "train.csv", "dev.csv", "test.csv", test=20, rows=("train.csv", "test.csv"), says=("Passed over", "dev.csv")),
    folder("other files beside `train.csv`", "passed over, and told", "train.csv", "extra.csv", rows=("train.csv",), says=("Passed over", "extra.csv")),
    folder("`train_test.csv`", "training", "train_test.csv"),
    folder("`training_data/train.csv`, `training_data/test.csv`", "the innermost name counts", "training_data/train.csv", "training_data/test.csv", test=20),
    folder("`test_project/a.csv`, `test_project/b.csv`", "a folder in which all files lie says nothing", "test_project/a.csv", "test_project/b.csv"),
    folder("hidden files, `__MACOSX`", "passed over", "a.csv", ".b.csv", "__MACOSX/._a.csv", ".git/c.csv", rows=("a.csv",)),
    Case("files", "test files alone", "refused", three("test.csv", "dev.csv"), refused=("holds test files only",), what="d"),
    Case("files", "a folder without a table", "refused", {"d/readme.md": "x"}, refused=("holds no .csv",), what="d"),
    Case("files", "files of two kinds", "joined by column", {"d/a.csv": csv(), "d/b.jsonl": jsonl({"text": t, "label": l, "n": 7} for t, l in ALTERED)}, [*PAIRS, *ALTERED], what="d", columns=("n",), types=("bigint",)),
    Case("files", "files that differ in types", "the type that holds both", {"d/a.parquet": parquet({"text": TEXTS, "label": LABELS, "n": list(range(20))}), "d/b.parquet": parquet({"text": [t for t, _ in ALTERED], "label": LABELS, "n": ["x"] * 20})}, [*PAIRS, *ALTERED], what="d", columns=("n",), types=("text",)),
    Case("files", "parquet and csv, numbers in both", "numbers", {"d/a.parquet": parquet({"text": TEXTS, "label": LABELS, "n": list(range(20))}), "d/b.csv": csv("text,label,n", '"{t}",{l},0.5', ALTERED)}, [*PAIRS, *ALTERED], what="d", columns=("n",), types=("double precision",)),
    Case("files", "a file without the text or the label", "passed over, and told", {"d/a.csv": csv(), "d/notes.csv": "who,when\nx,1\n"}, what="d", says=("Passed over", "notes.csv")),
    Case("files", "a .json of something else beside them", "passed over, and told", {"d/a.csv": csv(), "d/dataset_infos.json": json.dumps({"a": 1}, indent=1)}, what="d", says=("Passed over", "dataset_infos.json")),
    Case("files", "a folder for each class, a .txt for each text", "the classes are the folders' names", texts(ending=""), what="d"),
    Case("files", "the same below `train` and `test`; `unsup`", "training and test; texts without a class are passed over, and told", {**texts(above="train/", ending=""), **texts(ALTERED, "test/", ""), "d/train/unsup/1.txt": "x", "d/train/urls.txt": "y", "d/readme.txt": "z"}, [*PAIRS, *ALTERED], what="d", test_rows=20, says=("unsup were passed over", "train were passed over")),
    Case("files", "one folder of texts", "refused", {"d/good/1.txt": "a", "d/good/2.txt": "b"}, refused=("one value only, 'good'",), what="d"),
    Case("files", "texts in cp1252, class by class", "read, and told", {**texts(ending=""), "d/good/x.txt": "café".encode("cp1252")}, [*PAIRS, ("café", "good")], what="d", says=("texts are not UTF-8",)),
    Case("files", "a column `split` of `train` and `test`", "it says which rows are for the test, and is no label", {"r.csv": csv("text,emotion,split", '"{t}",{l},train') + csv("", '"{t}",{l},test', ALTERED).lstrip()}, [*PAIRS, *ALTERED], test_rows=20, says=("'split' says which rows are for the test",)),
    Case("files", ".csv.gz, .jsonl.gz …", E, {"r.csv.gz": GZ}),
    Case("files", ".json.gz", E, {"r.json.gz": gzip.compress(json.dumps(objects()).encode())}, listed=False),
    Case("files", ".gz that is cut", "refused", {"r.csv.gz": GZ[:-12]}, refused=("r.csv.gz cannot be read",)),
    Case("files", ".gz that is none", "refused", {"r.csv.gz": csv()}, refused=("r.csv.gz cannot be read",)),
    Case("files", ".gz with damaged bytes", "refused", {"r.csv.gz": GZ[:40] + b"\xff\xff\xff\xff" + GZ[44:]}, refused=("r.csv.gz cannot be read",)),
    Case("files", ".gz that unpacks to a hundred times its size and over 64 MiB", "refused", {"r.csv.gz": gzip.compress(b"text,label\n" + b"x,good\n" * 12_000_000)}, refused=("r.csv.gz unpacks to more than 100 times",)),
    Case("files", ".zip of such files", "as a folder", {"r.zip": zipped(**{"train.csv": csv(), "test.csv": csv(pairs=ALTERED)})}, [*PAIRS, *ALTERED], test_rows=20),
    Case("files", ".zip with parquet", E, {"r.zip": zipped(**{"a__b.parquet": typed()})}),
    Case("files", ".zip of a folder for each class", E, {"r.zip": zipped(**{f"x__{l}__{n}.txt": t for n, (t, l) in enumerate(PAIRS)})}),
    Case("files", ".zip with paths out of it", "read in it; nothing is written", {"r.zip": zipped(**{"..__..__a.csv": csv()})}),
    Case("files", ".zip that is cut", "refused", {"r.zip": zipped(a=csv())[:-9]}, refused=("r.zip cannot be read",)),
    Case("files", ".zip of zips", "refused", {"r.zip": zipped(**{"a.zip": zipped(a=csv())})}, refused=("r.zip holds no",)),
    Case("files", ".zip that unpacks to a hundred times its size and over 64 MiB", "refused", {"r.zip": zipped(**{"a.csv": b"text,label\n" + b"x,good\n" * 12_000_000})}, refused=("a.csv unpacks to more than 100 times",)),
    Case("files", "other kinds of files", "refused", {"r.docx": b"x"}, refused=("r.docx is none of .csv",)),
    Case("files", ".ndjson, capitals in endings", E, {"R.NDJSON": jsonl(objects())}),
]  # fmt: skip

CASES = [*NAMES, *NUMBERS, *ENCODINGS, *CSVS, *NULLS, *TYPED, *FILES]
HEADS = {
    "files": "Files and folders",
    "csv": "How csv and tsv files are written",
    "encodings": "Encodings",
    "names": "Names of columns",
    "numbers": "Numbers and times",
    "no value": "No value",
    "typed": "Typed sources",
}


def document() -> str:
    """docs/what-is-read.md."""
    lines = ["# What is read", "", "Made from the tests by `python -m tests.data_cases`; each row is one of them."]
    lines += ["[data.md](data.md) explains the whole."]
    for kind, head in HEADS.items():
        lines += ["", f"## {head}", "", "| given | what comes of it |", "| --- | --- |"]
        own = [case for case in CASES if case.kind == kind and case.listed]
        lines += [f"| {case.given.replace('|', chr(92) + '|')} | {case.comes} |" for case in own]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
