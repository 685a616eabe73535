"""Files and folders."""

import gzip
import json
from typing import Any

from tests.data_cases.case import (
    ALTERED,
    LABELS,
    PAIRS,
    TEXTS,
    Case,
    E,
    Pairs,
    csv,
    jsonl,
    objects,
    parquet,
    texts,
    typed,
    zipped,
)


def three(*names: str) -> dict[str, Any]:
    """Files of 20 rows each, all different."""
    return {f"d/{name}": csv(pairs=[(f"{t} in {name}", c) for t, c in PAIRS]) for name in names}


def rows_of(*names: str) -> Pairs:
    return [(f"{t} in {name}", c) for name in names for t, c in PAIRS]


def folder(
    given: str, comes: str, *names: str, test: int = 0, says: tuple[str, ...] = (), rows: tuple[str, ...] = ()
) -> Case:
    """A case of files by their names alone; `test`: how many rows are for the test, 0 for one in five."""
    read = rows or names
    return Case("files", given, comes, three(*names), rows_of(*read), says, what="d", test_rows=test or 4 * len(read))


GZ = gzip.compress(csv().encode())
FILES = [
    folder("`train.csv`, `test.csv`", "training and test", "train.csv", "test.csv", test=20),
    folder(
        "`testimonials.csv`, `values.csv`, `evaluation_notes.csv`, `latest.csv`, `devices.csv`",
        "training: `test` is a word, not a beginning",
        "customers.csv",
        "testimonials.csv",
        "values.csv",
        "evaluation_notes.csv",
        "latest.csv",
        "devices.csv",
        says=("no test part",),
    ),
    folder(
        "`my-test.csv`, `Test1.CSV`, `sentimentTest.csv`",
        "the test part",
        "a.csv",
        "my-test.csv",
        "Test1.CSV",
        "sentimentTest.csv",
        test=60,
    ),
    folder(
        "`train-00000-of-00002.csv`, `validation-00000-of-00001.csv`",
        "training and test",
        "train-00000-of-00002.csv",
        "train-00001-of-00002.csv",
        "validation-00000-of-00001.csv",
        test=20,
    ),
    folder("`train/a.csv`, `test/a.csv`", "folders say it too", "train/a.csv", "test/a.csv", test=20),
    folder(
        "`test.csv` and `dev.csv`",
        "the test is from `test.csv`; `dev.csv` is passed over, and told",
        "train.csv",
        "dev.csv",
        "test.csv",
        test=20,
        rows=("train.csv", "test.csv"),
        says=("Passed over", "dev.csv"),
    ),
    folder(
        "other files beside `train.csv`",
        "passed over, and told",
        "train.csv",
        "extra.csv",
        rows=("train.csv",),
        says=("Passed over", "extra.csv"),
    ),
    folder("`train_test.csv`", "training", "train_test.csv"),
    folder(
        "`training_data/train.csv`, `training_data/test.csv`",
        "the innermost name counts",
        "training_data/train.csv",
        "training_data/test.csv",
        test=20,
    ),
    folder(
        "`test_project/a.csv`, `test_project/b.csv`",
        "a folder in which all files lie says nothing",
        "test_project/a.csv",
        "test_project/b.csv",
    ),
    folder(
        "hidden files, `__MACOSX`", "passed over", "a.csv", ".b.csv", "__MACOSX/._a.csv", ".git/c.csv", rows=("a.csv",)
    ),
    Case(
        "files",
        "test files alone",
        "refused",
        three("test.csv", "dev.csv"),
        refused=("holds test files only",),
        what="d",
    ),
    Case("files", "a folder without a table", "refused", {"d/readme.md": "x"}, refused=("holds no .csv",), what="d"),
    Case(
        "files",
        "files of two kinds",
        "joined by column",
        {"d/a.csv": csv(), "d/b.jsonl": jsonl({"text": t, "label": c, "n": 7} for t, c in ALTERED)},
        [*PAIRS, *ALTERED],
        what="d",
        columns=("n",),
        types=("bigint",),
    ),
    Case(
        "files",
        "files that differ in types",
        "the type that holds both",
        {
            "d/a.parquet": parquet({"text": TEXTS, "label": LABELS, "n": list(range(20))}),
            "d/b.parquet": parquet({"text": [t for t, _ in ALTERED], "label": LABELS, "n": ["x"] * 20}),
        },
        [*PAIRS, *ALTERED],
        what="d",
        columns=("n",),
        types=("text",),
    ),
    Case(
        "files",
        "parquet and csv, numbers in both",
        "numbers",
        {
            "d/a.parquet": parquet({"text": TEXTS, "label": LABELS, "n": list(range(20))}),
            "d/b.csv": csv("text,label,n", '"{t}",{c},0.5', ALTERED),
        },
        [*PAIRS, *ALTERED],
        what="d",
        columns=("n",),
        types=("double precision",),
    ),
    Case(
        "files",
        "a file without the text or the label",
        "passed over, and told",
        {"d/a.csv": csv(), "d/notes.csv": "who,when\nx,1\n"},
        what="d",
        says=("Passed over", "notes.csv"),
    ),
    Case(
        "files",
        "a .json of something else beside them",
        "passed over, and told",
        {"d/a.csv": csv(), "d/dataset_infos.json": json.dumps({"a": 1}, indent=1)},
        what="d",
        says=("Passed over", "dataset_infos.json"),
    ),
    Case(
        "files",
        "a folder for each class, a .txt for each text",
        "the classes are the folders' names",
        texts(ending=""),
        what="d",
    ),
    Case(
        "files",
        "the same below `train` and `test`; `unsup`",
        "training and test; texts without a class are passed over, and told",
        {
            **texts(above="train/", ending=""),
            **texts(ALTERED, "test/", ""),
            "d/train/unsup/1.txt": "x",
            "d/train/urls.txt": "y",
            "d/readme.txt": "z",
        },
        [*PAIRS, *ALTERED],
        what="d",
        test_rows=20,
        says=("unsup were passed over", "train were passed over"),
    ),
    Case(
        "files",
        "one folder of texts",
        "refused",
        {"d/good/1.txt": "a", "d/good/2.txt": "b"},
        refused=("one value only, 'good'",),
        what="d",
    ),
    Case(
        "files",
        "texts in cp1252, class by class",
        "read, and told",
        {**texts(ending=""), "d/good/x.txt": "café".encode("cp1252")},
        [*PAIRS, ("café", "good")],
        what="d",
        says=("texts are not UTF-8",),
    ),
    Case(
        "files",
        "a column `split` of `train` and `test`",
        "it says which rows are for the test, and is no label",
        {"r.csv": csv("text,emotion,split", '"{t}",{c},train') + csv("", '"{t}",{c},test', ALTERED).lstrip()},
        [*PAIRS, *ALTERED],
        test_rows=20,
        says=("'split' says which rows are for the test",),
    ),
    Case("files", ".csv.gz, .jsonl.gz …", E, {"r.csv.gz": GZ}),
    Case("files", ".json.gz", E, {"r.json.gz": gzip.compress(json.dumps(objects()).encode())}, listed=False),
    Case("files", ".gz that is cut", "refused", {"r.csv.gz": GZ[:-12]}, refused=("r.csv.gz cannot be read",)),
    Case("files", ".gz that is none", "refused", {"r.csv.gz": csv()}, refused=("r.csv.gz cannot be read",)),
    Case(
        "files",
        ".gz with damaged bytes",
        "refused",
        {"r.csv.gz": GZ[:40] + b"\xff\xff\xff\xff" + GZ[44:]},
        refused=("r.csv.gz cannot be read",),
    ),
    Case(
        "files",
        ".gz that unpacks to a hundred times its size and over 64 MiB",
        "refused",
        {"r.csv.gz": gzip.compress(b"text,label\n" + b"x,good\n" * 12_000_000)},
        refused=("r.csv.gz unpacks to more than 100 times",),
    ),
    Case(
        "files",
        ".zip of such files",
        "as a folder",
        {"r.zip": zipped(**{"train.csv": csv(), "test.csv": csv(pairs=ALTERED)})},
        [*PAIRS, *ALTERED],
        test_rows=20,
    ),
    Case("files", ".zip with parquet", E, {"r.zip": zipped(**{"a__b.parquet": typed()})}),
    Case(
        "files",
        ".zip of a folder for each class",
        E,
        {"r.zip": zipped(**{f"x__{c}__{n}.txt": t for n, (t, c) in enumerate(PAIRS)})},
    ),
    Case(
        "files",
        ".zip with paths out of it",
        "read in it; nothing is written",
        {"r.zip": zipped(**{"..__..__a.csv": csv()})},
    ),
    Case("files", ".zip that is cut", "refused", {"r.zip": zipped(a=csv())[:-9]}, refused=("r.zip cannot be read",)),
    Case(
        "files", ".zip of zips", "refused", {"r.zip": zipped(**{"a.zip": zipped(a=csv())})}, refused=("r.zip holds no",)
    ),
    Case(
        "files",
        ".zip that unpacks to a hundred times its size and over 64 MiB",
        "refused",
        {"r.zip": zipped(**{"a.csv": b"text,label\n" + b"x,good\n" * 12_000_000})},
        refused=("a.csv unpacks to more than 100 times",),
    ),
    Case("files", "other kinds of files", "refused", {"r.docx": b"x"}, refused=("r.docx is none of .csv",)),
    Case("files", ".ndjson, capitals in endings", E, {"R.NDJSON": jsonl(objects())}),
    Case(
        "files",
        "an empty file beside others",
        "passed over, and told",
        {"d/a.csv": csv(), "d/b.csv": "", "d/c.jsonl": ""},
        what="d",
        says=("b.csv is empty", "c.jsonl is empty"),
    ),
    Case(
        "files",
        "columns that differ in capitals from file to file",
        "the same columns",
        {
            "d/train.csv": csv(),
            "d/train2.csv": csv("TEXT,LABEL", pairs=ALTERED),
            "d/test.csv": csv("Text,Label", pairs=[(f"{t}!", c) for t, c in PAIRS]),
        },
        [*PAIRS, *ALTERED, *((f"{t}!", c) for t, c in PAIRS)],
        what="d",
        test_rows=20,
    ),
    Case(
        "files",
        "texts in UTF-16, class by class",
        E,
        {**texts(ending=""), "d/good/x.txt": "wide".encode("utf-16"), "d/bad/y.txt": "marked".encode("utf-8-sig")},
        [*PAIRS, ("wide", "good"), ("marked", "bad")],
        what="d",
    ),
]
