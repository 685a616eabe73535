"""What a run leaves behind so that its rows can be told again: hashes of all of them, in the folder lineage/."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training_endpoint import database
from training_endpoint.data import snapshot
from training_endpoint.data.rows import Rows, scratch
from training_endpoint.data.snapshot import Snapshot

FOLDER = "lineage"
SPLITS = ("train", "test")
HASH_BYTES = 8
"""Of a row's sha256: enough to find it among millions, and the digest of all proves that they are the same."""


def keep(taken: Snapshot, file: Path) -> None:
    """Stores a whole snapshot, so that an interrupted job goes on with the rows that it began with."""
    for split in SPLITS:
        getattr(taken, split).save(_rows(file, split))
    part = file.with_suffix(".part")
    part.write_text(json.dumps(_without_rows(taken)))
    part.replace(file)


def kept(file: Path) -> Snapshot:
    """The snapshot that `keep` stored; its rows stay in their files."""
    known = json.loads(file.read_text())
    # Earlier releases kept the rows in the same file.
    rows = {split: Rows(**known[split]) if split in known else Rows.load(_rows(file, split)) for split in SPLITS}
    return Snapshot(**known | rows)


def _rows(file: Path, split: str) -> Path:
    return file.with_suffix("") / split


def _without_rows(taken: Snapshot) -> dict[str, Any]:
    return {name: value for name, value in vars(taken).items() if name not in SPLITS}


def write(taken: Snapshot, max_text_chars: int, folder: Path) -> None:
    """Writes `snapshot.json` (all but the rows) and `rows.parquet` (split, and the first bytes of each row's sha256).

    Nothing of a row can be read from it: what is deleted in the tables is nowhere then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = _without_rows(taken) | {"train_rows": len(taken.train), "test_rows": len(taken.test)}
    (folder / "snapshot.json").write_text(json.dumps({**written, "max_text_chars": max_text_chars}, indent=1))
    tables = []
    for split in SPLITS:
        hashes = snapshot.beginnings(split, getattr(taken, split), taken.label_names)
        names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(hashes), np.int32)), pa.array([split]))
        tables.append(pa.table({"split": names, "hash": _column(hashes)}))
    rows = pa.concat_tables(tables).unify_dictionaries()
    pq.write_table(rows, folder / "rows.parquet", compression="zstd", use_dictionary=["split"])


def add_course(folder: Path, told: dict[str, Any], trained: Rows | None) -> None:
    """Beside what `write` wrote: which course the run took (`course.json`), and, where they are
    not all, the rows that it trained on.
    """
    (folder / "course.json").write_text(json.dumps(told, indent=1))
    if trained is not None and trained.hashes is not None:
        pq.write_table(pa.table({"hash": _column(trained.hashes)}), folder / "trained.parquet", compression="zstd")


def course(folder: Path) -> dict[str, Any]:
    """What `add_course` was told; {} of earlier releases."""
    file = folder / "course.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def fields(folder: Path) -> dict[str, Any]:
    """What `write` wrote of the snapshot, without its rows."""
    found: dict[str, Any] = json.loads((folder / "snapshot.json").read_text())
    return found


def trained_on(folder: Path) -> npt.NDArray[np.uint64] | None:
    """The beginnings of the hashes of the rows that the run trained on; None: all training rows."""
    file = folder / "trained.parquet"
    return _numbers(pq.read_table(file)["hash"]) if file.exists() else None


def _column(hashes: npt.NDArray[np.uint64]) -> pa.FixedSizeBinaryArray:
    content = pa.py_buffer(hashes.astype(">u8"))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(HASH_BYTES), len(hashes), [None, content])


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    if column.type == pa.binary(HASH_BYTES):
        parts = [np.frombuffer(part.buffers()[1], ">u8")[part.offset :][: len(part)] for part in column.chunks]
    else:  # of earlier releases: whole
        parts = [np.frombuffer(value[:HASH_BYTES], ">u8") for value in column.to_pylist()]
    return np.sort(np.concatenate([*parts, np.empty(0, ">u8")]).astype(np.uint64))


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
    recorded = fields(folder)
    recorded_rows, names = hashes_of(folder), recorded["label_names"]
    whole = []
    found: list[tuple[str, str, str]] = []
    new: list[tuple[str, str, str]] = []
    gone: list[tuple[str, str]] = []
    with scratch(None) as place, database.connect(url) as connection:
        for side in snapshot.sides(connection, recorded, recorded["max_text_chars"], place):
            side.keep(names, {})
            hashes = np.concatenate([side.hashes(part) for part in side.parts()])
            begins = hashes.view(">u8").reshape(len(hashes), -1)[:, 0].astype(np.uint64)
            sought, there = recorded_rows[side.split], np.isin(begins, recorded_rows[side.split])
            whole.append(hashes[there])
            gone += [(side.split, f"{one:016x}") for one in sought[~np.isin(sought, begins)]]
            rows = side.rows(names)
            for places, taken in ((there, found), (~there, new)):
                some = rows.pick(np.flatnonzero(places))
                taken += [(side.split, names[label], text) for text, label in zip(some.texts, some.labels, strict=True)]
    digest = hashlib.sha256(np.sort(np.concatenate(whole)).tobytes()).hexdigest()
    return recorded, Difference(digest=digest, found=found, gone=gone, new=new)


def hashes_of(folder: Path) -> dict[str, npt.NDArray[np.uint64]]:
    """By split the beginnings of the row hashes that `write` left in `folder`, sorted."""
    table = pq.read_table(folder / "rows.parquet")
    column = "hash" if "hash" in table.column_names else "sha256"  # of earlier releases, whole
    return {split: _numbers(table.filter(pc.equal(table["split"], split))[column]) for split in SPLITS}
