"""The rows behind a version: `python -m training_endpoint.data.reproduce VERSION [--classifier NAME] [--out FILE]`.

Rebuilds a version's training and test rows from the tables as they are now; the digest proves that they are the same.
Where rows are gone or changed since, it says how many, and shows some of those that are there.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.exceptions import MlflowException

from mlops_contract.errors import PlatformError
from training_endpoint import database
from training_endpoint.data import classifiers, lineage
from training_endpoint.data.lineage import Difference
from training_endpoint.errors import UnknownVersion
from training_endpoint.release import peers
from training_endpoint.settings import Settings

EXAMPLES = 5
PREVIEW_CHARS = 80


def download(settings: Settings, version: int, folder: Path) -> Path:
    """Fetches the lineage folder of `version`'s run from MLflow; raises `UnknownVersion`."""
    peers.check_mlflow(settings)
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
            recorded, difference = lineage.compare(
                download(settings, given.version, Path(folder)), settings.database_url
            )
    except PlatformError as error:
        print(error.message, file=sys.stderr)
        return 2
    print(describe(given.version, recorded["digest"], difference))
    same = not difference.gone and difference.digest == recorded["digest"]
    if same and given.out:
        names = ("split", "label", "text")
        columns = {name: [row[number] for row in difference.found] for number, name in enumerate(names)}
        pq.write_table(pa.table(columns), given.out)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Settings.from_env(os.environ)))
