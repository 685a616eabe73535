"""The texts that are asked for and inserted: real ones where they are."""

import csv

from tests.services import ROOT

SST2 = ROOT.parent / "shared/data/sst2/test.tsv"
SAMPLE = ROOT / "training_endpoint/src/training_endpoint/data/sample/test.csv"


def sentences() -> list[str]:
    """SST-2's test sentences where they are, else those of the sample that the project brings."""
    file = SST2 if SST2.exists() else SAMPLE
    tabs = file.suffix == ".tsv"
    with file.open(newline="") as stream:
        dialect = "excel-tab" if tabs else "excel"
        rows = csv.DictReader(stream, dialect=dialect, quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL)
        return [row["text"] for row in rows]
