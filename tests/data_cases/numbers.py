"""Numbers and times."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa

from tests.data_cases.case import LABELS, NUMBERED, PAIRS, TEXTS, Case, csv, jsonl, objects, parquet, typed

NUMBERS = [
    Case(
        "numbers",
        "digits of other scripts",
        "text",
        {"r.csv": csv("text,label,stars", '"{t}",{c},۴.۵')},
        columns=("stars",),
        types=("text",),
    ),
    Case(
        "numbers",
        "whole numbers in other digits",
        "text",
        {"r.csv": csv("text,label,stars", '"{t}",{c},٤٢')},
        columns=("stars",),
        types=("text",),
    ),
    Case(
        "numbers",
        "`1.5e999`, larger than a double",
        "text",
        {"r.csv": csv("text,label,x", '"{t}",{c},1.5e999')},
        columns=("x",),
        types=("text",),
    ),
    Case(
        "numbers",
        "`1.5e-999`, smaller than a double",
        "text",
        {"r.csv": csv("text,label,x", '"{t}",{c},1.5e-999')},
        columns=("x",),
        types=("text",),
    ),
    Case(
        "numbers",
        "more digits than a double holds",
        "text",
        {"r.csv": csv("text,label,x", '"{t}",{c},3.14159265358979323846264')},
        columns=("x",),
        types=("text",),
    ),
    Case(
        "numbers",
        "decimals",
        "double precision",
        {"r.csv": csv("text,label,x", '"{t}",{c},-{n}.25')},
        columns=("x",),
        types=("double precision",),
    ),
    Case(
        "numbers",
        "whole numbers",
        "bigint",
        {"r.csv": csv("text,label,x", '"{t}",{c},{n}')},
        columns=("x",),
        types=("bigint",),
    ),
    Case(
        "numbers",
        "leading zeros, plus signs",
        "text",
        {"r.csv": csv("text,label,x,y", '"{t}",{c},007,+5')},
        columns=("x", "y"),
        types=("text", "text"),
    ),
    Case(
        "numbers",
        "19 digits and more",
        "text in csv, numeric in jsonl",
        {"r.csv": csv("text,label,x", '"{t}",{c},9223372036854775808')},
        columns=("x",),
        types=("text",),
    ),
    Case(
        "numbers",
        "whole numbers of thousands of digits (jsonl)",
        "numeric",
        {"r.jsonl": jsonl(objects(n=int("9" * 4000)))},
        columns=("n",),
        types=("numeric",),
    ),
    Case(
        "numbers",
        "whole numbers that no double holds beside decimals",
        "numeric",
        {"r.jsonl": jsonl({**row, "n": 2**60 + 1 if n % 2 else 0.5} for n, row in enumerate(objects()))},
        columns=("n",),
        types=("numeric",),
    ),
    Case(
        "numbers",
        "`Infinity` (jsonl)",
        "double precision",
        {"r.jsonl": jsonl(objects(x=float("inf")))},
        columns=("x",),
        types=("double precision",),
    ),
    Case(
        "numbers",
        "years from 10000 (parquet)",
        "text",
        {"r.parquet": typed(until=pa.array([253402300800000000] * 20, pa.timestamp("us")))},
        columns=("until",),
        types=("text",),
    ),
    Case(
        "numbers",
        "dates from year 10000 (parquet)",
        "text",
        {"r.parquet": typed(until=pa.array([2932897] * 20, pa.date32()))},
        columns=("until",),
        types=("text",),
    ),
    Case(
        "numbers",
        "nanoseconds (parquet)",
        "timestamp, or text where a microsecond is too coarse",
        {"r.parquet": typed(a=pa.array([1_000] * 20, pa.timestamp("ns")), b=pa.array([1] * 20, pa.timestamp("ns")))},
        columns=("a", "b"),
        types=("timestamp without time zone", "text"),
    ),
    Case(
        "numbers",
        "intervals (parquet)",
        "text",
        {"r.parquet": typed(a=[timedelta(days=2)] * 20, b=pa.array([2**62] * 20, pa.duration("s")))},
        columns=("a", "b"),
        types=("text", "text"),
    ),
    Case(
        "numbers",
        "dates, times, moments, decimals, booleans (parquet)",
        "their own types",
        {
            "r.parquet": typed(
                a=[date(2026, 1, 2)] * 20,
                b=[time(3, 4)] * 20,
                c=[datetime(2026, 1, 2, tzinfo=UTC)] * 20,
                d=[Decimal("1.50")] * 20,
                e=[True] * 20,
            )
        },
        columns=("a", "b", "c", "d", "e"),
        types=("date", "time without time zone", "timestamp with time zone", "numeric", "boolean"),
    ),
    Case(
        "numbers",
        "unsigned 64 bits (parquet)",
        "numeric",
        {"r.parquet": typed(a=pa.array([2**64 - 1] * 20, pa.uint64()))},
        columns=("a",),
        types=("numeric",),
    ),
    Case(
        "numbers",
        "a zone that nobody knows (parquet)",
        "the same moments",
        {"r.parquet": typed(a=pa.array([0] * 20, pa.timestamp("us", "Nowhere/Town")))},
        columns=("a",),
        types=("timestamp with time zone",),
    ),
    Case(
        "numbers",
        "more than numeric holds",
        "refused, with its place",
        {
            "r.parquet": parquet({"text": TEXTS, "label": LABELS, "x": pa.array([2.0] * 20)}),
            "r.jsonl": jsonl(objects(x=1)).replace('"x": 1', '"x": 1e400'),
        },
        what="r.jsonl",
        columns=("x",),
        types=("double precision",),
        listed=False,
    ),
    Case(
        "numbers",
        "versions as labels: 1.1, 1.10",
        "two labels, as text",
        {"r.csv": csv(pairs=[(t, "1.1" if c == "bad" else "1.10") for t, c in PAIRS])},
        rows=[(t, "1.1" if c == "bad" else "1.10") for t, c in PAIRS],
    ),
    Case("numbers", "-0.0", "text", {"r.csv": csv("text,label,x", '"{t}",{c},-0.0')}, columns=("x",), types=("text",)),
    Case(
        "numbers",
        "labels -0.0 and 0.0 and 1.0 (parquet)",
        "labels 0 and 1",
        {
            "r.parquet": parquet(
                {
                    "text": TEXTS,
                    "label": [1.0 if c == "good" else (-0.0, 0.0)[n % 4 // 2] for n, c in enumerate(LABELS)],
                }
            )
        },
        rows=NUMBERED,
    ),
    Case(
        "numbers",
        "labels 1.0 and 0.0",
        "labels 1 and 0",
        {"r.csv": csv(pairs=[(t, "1.0" if c == "good" else "0.0") for t, c in PAIRS])},
        rows=NUMBERED,
    ),
]
