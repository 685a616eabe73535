"""What is no value."""

import pyarrow as pa

from tests.data_cases.case import (
    ALTERED,
    CLASS_LABEL,
    LABELS,
    NAN,
    PAIRS,
    TEXTS,
    Case,
    csv,
    hub,
    jsonl,
    parquet,
    without,
)

NULLS = [
    Case(
        "no value",
        "empty cells (csv)",
        "null",
        {"r.csv": csv(pairs=[(t, c or "") for t, c in without(7)])},
        rows=without(7),
        says=("rows have no label",),
    ),
    Case(
        "no value",
        "blank cells (csv)",
        "null",
        {"r.csv": csv(pairs=[(t, c or "  ") for t, c in without(7)])},
        rows=without(7),
    ),
    Case(
        "no value",
        'empty texts, `""` (jsonl)',
        "null",
        {"r.jsonl": jsonl({"text": t, "label": c or ""} for t, c in without(7))},
        rows=without(7),
    ),
    Case(
        "no value",
        "NaN among labels (jsonl)",
        "null",
        {"r.jsonl": jsonl({"text": t, "label": c or NAN} for t, c in without(7))},
        rows=without(7),
    ),
    Case(
        "no value",
        "null and missing keys (jsonl)",
        "null",
        {
            "r.jsonl": jsonl(
                {"text": t, **({"label": c} if c else {} if n % 2 else {"label": None})}
                for n, (t, c) in enumerate(without(7))
            )
        },
        rows=without(7),
    ),
    Case(
        "no value",
        "NaN among texts (jsonl)",
        "null",
        {"r.jsonl": jsonl({"text": t if c else NAN, "label": m} for (t, c), m in zip(without(5), LABELS, strict=True))},
        rows=[(t if c else None, m) for (t, c), m in zip(without(5), LABELS, strict=True)],
        says=("rows have no text",),
    ),
    Case(
        "no value",
        "NaN among numbers (parquet)",
        "null",
        {
            "r.parquet": parquet(
                {"text": TEXTS, "label": pa.array([float(c == "good") if c else NAN for _, c in without(7)])}
            )
        },
        rows=[(t, None if c is None else str(int(c == "good"))) for t, c in without(7)],
    ),
    Case(
        "no value",
        "`nan`, `NA`, `n/a`, `null`, `None` beside numbers",
        "null",
        {
            "r.csv": csv(
                pairs=[
                    (t, str(int(c == "good")) if c else ("nan", "NA", "N/A", "null", "None")[n % 5])
                    for n, (t, c) in enumerate(without(4))
                ]
            )
        },
        rows=[(t, None if c is None else str(int(c == "good"))) for t, c in without(4)],
    ),
    Case(
        "no value",
        "`NULL` among words",
        "a class, and told",
        {"r.csv": csv(pairs=[(t, c or "NULL") for t, c in without(4)])},
        rows=[(t, c or "NULL") for t, c in without(4)],
        says=("Label 'NULL' counts as a class",),
    ),
    Case(
        "no value",
        "the same words among words",
        "words: `none` may be a class",
        {"r.csv": csv(pairs=[(t, c or "none") for t, c in without(4)])},
        rows=[(t, c or "none") for t, c in without(4)],
    ),
    Case(
        "no value",
        '`"nan"` beside numbers (jsonl)',
        "null",
        {"r.jsonl": jsonl({"text": t, "label": "nan" if c is None else int(c == "good")} for t, c in without(4))},
        rows=[(t, None if c is None else str(int(c == "good"))) for t, c in without(4)],
    ),
    Case(
        "no value",
        "`\\N`, as databases write it",
        "null",
        {"r.csv": csv(pairs=[(t, c or r"\N") for t, c in without(7)])},
        rows=without(7),
    ),
    Case(
        "no value",
        "-1 where classes are declared",
        "null",
        {
            "r.parquet": parquet(
                {"text": TEXTS, "label": [-1 if c is None else int(c == "good") for _, c in without(7)]},
                hub(CLASS_LABEL),
            )
        },
        rows=without(7),
    ),
    Case(
        "no value",
        "-1 where none are",
        "a class like others",
        {"r.csv": csv(pairs=[(t, "1" if c == "good" else "-1") for t, c in PAIRS])},
        rows=[(t, "1" if c == "good" else "-1") for t, c in PAIRS],
    ),
    Case(
        "no value",
        "blanks around labels",
        "they go",
        {"r.csv": csv(pairs=[(t, c + " " * (n % 3)) for n, (t, c) in enumerate(PAIRS)])},
    ),
    Case(
        "no value",
        "labels that differ in capitals",
        "two classes, and told",
        {"r.csv": csv(pairs=[(t, "Good" if n == 2 else c) for n, (t, c) in enumerate(PAIRS)])},
        rows=[(t, "Good" if n == 2 else c) for n, (t, c) in enumerate(PAIRS)],
        says=("'Good'", "different classes"),
    ),
    Case(
        "no value",
        "a test part whose labels are all -1",
        "passed over, and told",
        {
            "d/train.csv": csv(),
            "d/test.csv": csv(pairs=[(t + "!", -1) for t in TEXTS]),
            "d/dev.csv": csv(pairs=ALTERED),
        },
        what="d",
        rows=[*PAIRS, *ALTERED],
        test_rows=20,
        says=("test.csv has no label that the training rows have",),
    ),
    Case(
        "no value",
        "a test part without labels",
        "passed over, and told",
        {"d/train.csv": csv(), "d/test.csv": csv("text,id", pairs=[(t + "!", 1) for t in TEXTS])},
        what="d",
        test_rows=4,
        says=("test.csv has no label",),
    ),
    Case(
        "no value",
        "only one class has a value",
        "refused",
        {"r.csv": csv(pairs=[(t, c if c == "good" else "") for t, c in PAIRS])},
        refused=("one value only, 'good'",),
    ),
    Case(
        "no value",
        "no label at all",
        "refused",
        {"r.csv": csv(pairs=[(t, "") for t in TEXTS])},
        refused=("No column of the dataset looks like a label",),
    ),
    Case(
        "no value",
        "characters without width around labels",
        "they go",
        {"r.csv": csv(pairs=[(t, f"\u200b{c}\ufeff" if n % 3 else c) for n, (t, c) in enumerate(PAIRS)])},
    ),
    Case(
        "no value",
        "labels that differ in how an accent is written",
        "two classes, and told",
        {"r.csv": csv(pairs=[(t, ("caf\u00e9", "cafe\u0301")[n % 2]) for n, t in enumerate(TEXTS)])},
        rows=[(t, ("caf\u00e9", "cafe\u0301")[n % 2]) for n, t in enumerate(TEXTS)],
        says=("count as different classes",),
    ),
]
