"""What a run leaves behind so that its rows can be told again: hashes of all of them, in the folder lineage/."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from training_endpoint import database
from training_endpoint.data import snapshot
from training_endpoint.data.snapshot import Rows, Snapshot

FOLDER = "lineage"
PREVIEW_CHARS = 80


def keep(taken: Snapshot, file: Path) -> None:
    """Stores a whole snapshot, so that an interrupted job goes on with the rows that it began with."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(asdict(taken)))
    part.replace(file)


def kept(file: Path) -> Snapshot:
    """The snapshot that `keep` stored."""
    fields = json.loads(file.read_text())
    return Snapshot(**{**fields, "train": Rows(**fields["train"]), "test": Rows(**fields["test"])})


def write(taken: Snapshot, max_text_chars: int, folder: Path) -> None:
    """Writes `snapshot.json` (all but the rows) and `rows.parquet` (split, label, sha256, the text's beginning)."""
    folder.mkdir(parents=True, exist_ok=True)
    fields: dict[str, Any] = {key: value for key, value in asdict(taken).items() if key not in ("train", "test")}
    fields |= {"train_rows": len(taken.train), "test_rows": len(taken.test), "max_text_chars": max_text_chars}
    (folder / "snapshot.json").write_text(json.dumps(fields, indent=1))
    columns: dict[str, list[Any]] = {"split": [], "label": [], "sha256": [], "begins": []}
    for split, rows in (("train", taken.train), ("test", taken.test)):
        for text, number in zip(rows.texts, rows.labels, strict=True):
            label = taken.label_names[number]
            columns["split"].append(split)
            columns["label"].append(label)
            columns["sha256"].append(snapshot.row_hash(split, text, label))
            columns["begins"].append(text[:PREVIEW_CHARS])
    pq.write_table(pa.table(columns), folder / "rows.parquet", compression="zstd")


@dataclass(frozen=True)
class Difference:
    """The rows of a run against the tables as they are now. Rows are (split, label, text or its beginning)."""

    digest: str
    """Of the rows that were found again: the run's own when none is gone."""
    found: list[tuple[str, str, str]]
    gone: list[tuple[str, str, str]]
    """Deleted or changed since; of these only the text's beginning is known."""
    new: list[tuple[str, str, str]]
    """Inserted or changed since."""


def compare(folder: Path, url: str) -> tuple[dict[str, Any], Difference]:
    """Reads what `write` left in `folder` and looks for the same rows in the tables now."""
    recorded = json.loads((folder / "snapshot.json").read_text())
    rows = {row["sha256"]: row for row in pq.read_table(folder / "rows.parquet").to_pylist()}
    now: dict[bytes, tuple[str, str, str]] = {}
    with database.connect(url) as connection:
        both = snapshot.sides(connection, recorded, recorded["max_text_chars"])
        for split, table in zip(("train", "test"), both, strict=True):
            table.keep(recorded["label_names"], {})
            for text, label in table.rows:
                now[snapshot.row_hash(split, text, label)] = (split, label, text)
    again = sorted(rows.keys() & now.keys())
    gone = [rows[key] for key in sorted(rows.keys() - now.keys())]
    return recorded, Difference(
        digest=snapshot.digest_of(again),
        found=[now[key] for key in again],
        gone=[(row["split"], row["label"], row["begins"]) for row in gone],
        new=[now[key] for key in sorted(now.keys() - rows.keys())],
    )
