"""The rows behind a version: `python -m training_endpoint.data.reproduce VERSION [--classifier NAME] [--out FILE]`.

Rebuilds a version's training and test rows from the tables as they are now; the digest proves that they are the same.
Where rows are gone or changed since, it says how many, and shows some of those that are there. A version that went on
from others is the work of their rows too: the whole chain is walked, back to the one that began with the base model.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.exceptions import MlflowException

from mlops_contract.errors import PlatformError
from training_endpoint import database
from training_endpoint.data import classifiers, lineage
from training_endpoint.data.lineage import HASH_BYTES, Difference
from training_endpoint.data.snapshot import row_hash
from training_endpoint.errors import UnknownVersion
from training_endpoint.release import peers
from training_endpoint.settings import Settings

Hashes = npt.NDArray[np.uint64]

EXAMPLES = 5
PREVIEW_CHARS = 80


def download(settings: Settings, version: int, folder: Path) -> Path:
    """Fetches the lineage folder of `version`'s run from MLflow; raises `UnknownVersion`."""
    peers.check_mlflow(settings)
    folder.mkdir()
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    try:
        run_id = mlflow.MlflowClient().get_model_version(settings.model_name, str(version)).run_id
        path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=lineage.FOLDER, dst_path=str(folder))
    except MlflowException as error:
        raise UnknownVersion(
            f"{settings.model_name} has no version {version} with a lineage: {error.message}"
        ) from error
    return Path(path)


def describe(version: int, digest: str, difference: Difference) -> str:
    """What people read."""
    if not difference.gone:
        lines = [f"Version {version} can be reproduced: all {len(difference.found):,} rows are there."]
        lines += [f"digest {digest} (recorded)", f"digest {difference.digest} (rebuilt)"]
    else:
        total = len(difference.found) + len(difference.gone)
        lines = [
            f"Version {version} cannot be reproduced: {len(difference.gone):,} of {total:,} rows are gone or changed:"
        ]
        lines += _shown([f"  {split} row, sha256 {begins}…" for split, begins in difference.gone])
    if difference.new:
        lines += [f"{len(difference.new):,} rows are new or changed since:", *_examples(difference.new)]
    return "\n".join(lines)


def _examples(rows: list[tuple[str, str, str]]) -> list[str]:
    return _shown([f"  {split} {label!r}: {text[:PREVIEW_CHARS]!r}" for split, label, text in rows])


def _shown(lines: list[str]) -> list[str]:
    return lines[:EXAMPLES] + (["  …"] if len(lines) > EXAMPLES else [])


def main(arguments: list[str], settings: Settings) -> int:
    """0: the same rows; 1: some are gone or changed; 2: it could not be told."""
    parser = argparse.ArgumentParser(prog="python -m training_endpoint.data.reproduce", description=__doc__)
    parser.add_argument("version", type=int)
    parser.add_argument("--out", type=Path, help="write the rebuilt rows (split, label, text) to this parquet file")
    parser.add_argument("--classifier", metavar="NAME", help="whose version (default: the default classifier's)")
    given = parser.parse_args(arguments)
    try:
        with database.connect(settings.database_url) as connection:
            settings = classifiers.find(connection, given.classifier).settings(settings)
        with tempfile.TemporaryDirectory() as folder:
            behind = download(settings, given.version, Path(folder) / str(given.version))
            recorded, difference = lineage.compare(behind, settings.database_url)
            course, trained = lineage.course(behind), lineage.trained_on(behind)
            print(describe(given.version, recorded["digest"], difference))
            print(_told(given.version, course, trained), end="")
            same = _same(recorded, difference)
            if same and given.out:
                _write(difference, trained, given.out)
            for version in course.get("chain", []):
                behind = download(settings, version, Path(folder) / str(version))
                recorded, difference = lineage.compare(behind, settings.database_url)
                print(f"\n{describe(version, recorded['digest'], difference)}")
                print(_told(version, lineage.course(behind), lineage.trained_on(behind)), end="")
                same = same and _same(recorded, difference)
    except PlatformError as error:
        print(error.message, file=sys.stderr)
        return 2
    return 0 if same else 1


def _same(recorded: dict[str, Any], difference: Difference) -> bool:
    return not difference.gone and difference.digest == recorded["digest"]


def _told(version: int, course: dict[str, Any], trained: Hashes | None) -> str:
    """A line on how the version was made, none of earlier releases."""
    if not course:
        return ""
    rows = "" if trained is None else f"; it was trained on {len(trained):,} of its training rows"
    return f"Version {version} is a {course['mode']} run, because {course['why']}{rows}.\n"


def _write(difference: Difference, trained: Hashes | None, out: Path) -> None:
    """split, label and text of each row; where a run did not train on all its training rows, `trained` too."""
    names = ("split", "label", "text")
    columns: dict[str, list[Any]] = {
        name: [row[number] for row in difference.found] for number, name in enumerate(names)
    }
    if trained is not None:
        known = set(trained.tolist())
        begins = (int.from_bytes(row_hash(split, text, label)[:HASH_BYTES]) for split, label, text in difference.found)
        columns["trained"] = [begin in known for begin in begins]
    pq.write_table(pa.table(columns), out)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Settings.from_env(os.environ)))
