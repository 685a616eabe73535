"""What a case is, and the small files that most are made of."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = [
    f"the {what} was {how}, visit {n}"
    for n in range(5)
    for what, how in (("soup", "warm"), ("soup", "cold"), ("room", "clean"), ("room", "filthy"))
]
LABELS = ["good", "bad"] * 10
PAIRS = list(zip(TEXTS, LABELS, strict=True))
NAN = float("nan")
Pairs = Sequence[tuple[str | None, str | None]]


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


def csv(header: str = "text,label", line: str = '"{t}",{c}', pairs: list[Any] = PAIRS, ends: str = "\n") -> str:
    """A csv file; `line` has {t}, {c} and {n}."""
    return header + ends + "".join(line.format(t=t, c=c, n=n) + ends for n, (t, c) in enumerate(pairs))


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
E = "imported"
