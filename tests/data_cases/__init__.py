"""What people feed the importer, and what comes of it: each case is a test, and a row of docs/what-is-read.md.

`python -m tests.data_cases` writes that document anew.
"""

from pathlib import Path

from tests.data_cases.case import Case
from tests.data_cases.encodings import ENCODINGS
from tests.data_cases.folders import FILES
from tests.data_cases.names import NAMES
from tests.data_cases.nulls import NULLS
from tests.data_cases.numbers import NUMBERS
from tests.data_cases.separated import CSVS
from tests.data_cases.typed import TYPED

DOCUMENT = Path(__file__).parents[2] / "docs/what-is-read.md"
CASES: list[Case] = [*NAMES, *NUMBERS, *ENCODINGS, *CSVS, *NULLS, *TYPED, *FILES]
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
