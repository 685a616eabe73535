"""What runs cost and learn as a table grows, and what it takes to read one.

    python -m benchmarks.growth
    python -m benchmarks.growth --quick
    python -m benchmarks.growth --only reading jobs

The sets sst2, subj and sst5 (train.tsv and test.tsv with the columns text and label) are read from --data, or where a
checkout has them beside itself; else the sample alone. Prints a table of medians; writes growth.json into --output,
where models are kept too: what was interrupted goes on.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.growth import jobs, tables
from benchmarks.growth.learning import Learning
from benchmarks.growth.sets import Set
from benchmarks.training.task import SAMPLE
from tests.services import ROOT
from training_endpoint.learn.hyperparameters import Hyperparameters

DATA = ROOT.parent / "shared/data"
SETS = ("sst2", "subj", "sst5")
PARTS = ("reading", "jobs", "times", "learning")
QUICK_ROWS = 400


def main() -> None:
    """Reads the options, runs, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows and one seed: minutes, and no figures")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument(
        "--times", nargs="+", type=int, default=[1, 10], help="how often the rows of the first set are repeated"
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table that is read")
    parser.add_argument("--most-rows", type=int, default=5_000_000, help="of the table of which a job takes 10,000")
    parser.add_argument("--output", type=Path, default=ROOT / ".platform/bench/growth")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.rows, options.most_rows, options.times = 1, 20_000, 2_000, [3]
        options.sets = options.sets[:1]
    folders = [options.data / name for name in options.sets if (options.data / name).is_dir()] or [SAMPLE]
    sets = [Set.read(folder, QUICK_ROWS if options.quick else None) for folder in folders]
    options.output.mkdir(parents=True, exist_ok=True)
    lines = ["| figure | at least | reached |", "| --- | --- | --- |"]
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        parts: dict[str, Callable[[], list[str]]] = {
            "reading": lambda: reading(options, Path(name)),
            "jobs": lambda: large_job(options, Path(name)),
            "times": lambda: times(options, sets[0], Path(name)),
            "learning": lambda: learning(options, sets),
        }
        for part in PARTS:
            if part in options.only:
                lines += parts[part]()
    print("\n".join(["", *lines]))


def reading(options: argparse.Namespace, folder: Path) -> list[str]:
    """How long a table takes to be read, and what it takes beside its texts."""
    with tables.database(folder / "reading", options.rows) as url:
        found = [tables.read(url, folder / f"read-{number}") for number in range(options.seeds)]
    note(options, "reading", found)
    seconds, beyond, row = (median(one[name] for one in found) for name in ("all_s", "beyond", "bytes_a_row"))
    what = f"reading {options.rows:,} rows of 100 characters: seconds, memory beyond the texts"
    return [f"| {what} | 8 s, 100 MB | {seconds:.1f} s, {beyond / 1e6:.0f} MB ({row:.0f} bytes a row) |"]


def large_job(options: argparse.Namespace, folder: Path) -> list[str]:
    """The most memory that a job on a few of many rows takes."""
    most = min(10_000, options.most_rows // 5)
    found = jobs.memory(options.most_rows, most, folder / "many")
    note(options, "jobs", found)
    reached = f"{found['bytes'] / 1e9:.2f} GB, {found['seconds']:.0f} s, {found['reading']:.0f} of them reading"
    return [f"| {options.most_rows:,} rows with max_rows {most:,}, whole job | 4 GB at most | {reached} |"]


def times(options: argparse.Namespace, data: Set, folder: Path) -> list[str]:
    """The time of a job after 1 % new rows, as a share of a full one's."""
    lines = []
    for repeated in options.times:
        found = jobs.times(data, repeated, folder / f"times-{repeated}")
        note(options, f"times {repeated}", found)
        wanted = {1: "0.25", 10: "0.1"}.get(repeated, "–")
        reached = f"{found['warm_s'] / found['full_s']:.2f} ({found['warm_s']:.0f} s / {found['full_s']:.0f} s)"
        lines.append(f"| a job after 1 % new rows / a full one, {found['rows']:,} rows | {wanted} | {reached} |")
    return lines


def learning(options: argparse.Namespace, sets: list[Set]) -> list[str]:
    """Accuracies, as points above those of a full run on the same rows."""
    lines = []
    for data in sets:
        found = []
        for seed in range(options.seeds):
            place = options.output / ("quick" if options.quick else "models")
            found.append(Learning(data, seed, place, Hyperparameters()).figures())
            print(f"{data.name}, seed {seed}: {json.dumps(found[-1])}", flush=True)
        note(options, f"learning {data.name}", found)
        for name, against, what, wanted in (
            ("grown", "full", "after ten runs that each added 1 %", -0.3),
            ("corrected", "full", "5 % of the labels put right, after the next run", -0.5),
            ("deleted", "without", "5 % of the rows deleted, after the next run", -0.5),
        ):
            points = median(100 * (one[name] - one[against]) for one in found)
            pair = " / ".join(f"{100 * median(one[of] for one in found):.1f}" for of in (name, against))
            lines.append(
                f"| {data.name}: accuracy {what}, against a full run, points | {wanted} | {points:+.2f} ({pair}) |"
            )
    return lines


def note(options: argparse.Namespace, name: str, found: Any) -> None:
    """Keeps a part's readings in growth.json, beside those of others."""
    file = options.output / ("quick.json" if options.quick else "growth.json")
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**known, name: found}, indent=1))


if __name__ == "__main__":
    main()
