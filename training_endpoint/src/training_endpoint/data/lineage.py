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
HASH_BYTES = 8
"""Of a row's sha256: enough to find it among millions, and the digest of all proves that they are the same."""


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
    """Writes `snapshot.json` (all but the rows) and `rows.parquet` (split, and the first bytes of each row's sha256).

    Nothing of a row can be read from it: what is deleted in the tables is nowhere then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fields: dict[str, Any] = {key: value for key, value in asdict(taken).items() if key not in ("train", "test")}
    fields |= {"train_rows": len(taken.train), "test_rows": len(taken.test), "max_text_chars": max_text_chars}
    (folder / "snapshot.json").write_text(json.dumps(fields, indent=1))
    splits, hashes = [], []
    for split, rows in (("train", taken.train), ("test", taken.test)):
        for text, number in zip(rows.texts, rows.labels, strict=True):
            splits.append(split)
            hashes.append(snapshot.row_hash(split, text, taken.label_names[number])[:HASH_BYTES])
    table = pa.table({"split": pa.array(splits).dictionary_encode(), "hash": pa.array(hashes, pa.binary(HASH_BYTES))})
    pq.write_table(table, folder / "rows.parquet", compression="zstd", use_dictionary=["split"])


@dataclass(frozen=True)
class Difference:
    """The rows of a run against the tables as they are now. Rows that are there are (split, label, text)."""

    digest: str
    """Of the rows that were found again: the run's own when none is gone."""
    found: list[tuple[str, str, str]]
    gone: list[tuple[str, str]]
    """Deleted or changed since: (split, the beginning of its sha256 in hexadecimal)."""
    new: list[tuple[str, str, str]]
    """Inserted or changed since."""


def compare(folder: Path, url: str) -> tuple[dict[str, Any], Difference]:
    """Reads what `write` left in `folder` and looks for the same rows in the tables now."""
    recorded = json.loads((folder / "snapshot.json").read_text())
    table = pq.read_table(folder / "rows.parquet")
    column = "hash" if "hash" in table.column_names else "sha256"  # of earlier releases, whole
    hashes = (value[:HASH_BYTES] for value in table[column].to_pylist())
    rows = dict(zip(hashes, table["split"].to_pylist(), strict=True))
    now: dict[bytes, tuple[bytes, tuple[str, str, str]]] = {}
    with database.connect(url) as connection:
        both = snapshot.sides(connection, recorded, recorded["max_text_chars"])
        for split, found in zip(("train", "test"), both, strict=True):
            found.keep(recorded["label_names"], {})
            for text, label in found.rows:
                whole = snapshot.row_hash(split, text, label)
                now[whole[:HASH_BYTES]] = whole, (split, label, text)
    again = sorted(rows.keys() & now.keys())
    return recorded, Difference(
        digest=snapshot.digest_of([now[key][0] for key in again]),
        found=[now[key][1] for key in again],
        gone=[(rows[key], key.hex()) for key in sorted(rows.keys() - now.keys())],
        new=[now[key][1] for key in sorted(now.keys() - rows.keys())],
    )
