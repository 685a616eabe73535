"""Measures what the trigger costs a writer and how soon Airflow knows, everything by turns.

    python -m benchmarks.trigger --rounds 3
    python -m benchmarks.trigger --only copy insert

PostgreSQL is the one that the tests run on, with its default settings, in the machine's temporary folder; pgbench
speaks its default protocol. The old design is measured where a PostgreSQL with plpython3u is installed, against plain
inserts there; the latency with the real Airflow where its environment is (AIRFLOW_PYTHON). Prints a table; writes
trigger.json into --output.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from statistics import median

from benchmarks.trigger import delivery, old, report
from benchmarks.trigger.load import WATCH, Tables
from tests import services

PARTS = ("copy", "insert", "relay", "old", "burst", "latency")
PAIRS = 6
COPIES = 20


def by_turns(times: int, **kinds: Callable[[], float]) -> list[report.Reading]:
    """Takes one reading of each kind after the other, so many times, every other time backwards.

    So a slow moment of the machine meets all kinds, and none always has the disk that another one has just tired.
    """
    orders = cycle((list(kinds), list(kinds)[::-1]))
    return [{kind: kinds[kind]() for kind in order} for _, order in zip(range(times), orders, strict=False)]


def measure(options: argparse.Namespace, folder: Path) -> tuple[report.Readings, str]:
    """All rounds, then the latency; returns the readings and which Airflow the latency was measured with."""
    readings: report.Readings = {}

    def took(part: str, found: list[report.Reading]) -> None:
        readings.setdefault(part, []).extend(found)
        medians = {kind: median(one[kind] for one in found) for kind in found[0]}
        print(f"{part}: {json.dumps(medians)}", flush=True)

    with ExitStack() as stack:
        server = stack.enter_context(services.postgres(folder / "cluster"))
        tables = Tables.anew(server, folder)
        elder = stack.enter_context(old.running(folder / "old")) if "old" in options.only else None
        if "old" in options.only:
            readings["old"] = []
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", flush=True)
            if "copy" in options.only:
                took("copy", by_turns(COPIES, plain=tables.copy, watched=lambda: tables.copy(WATCH)))
            if "insert" in options.only:
                took("insert", by_turns(PAIRS, plain=tables.insert, watched=lambda: tables.insert(WATCH)))
            if "relay" in options.only:
                with delivery.relays(server, folder) as (up, down):
                    took("relay", by_turns(PAIRS, up=lambda: up.insert(WATCH), down=lambda: down.insert(WATCH)))
            if elder:
                took("old", by_turns(PAIRS, plain=elder.tables.insert, watched=elder.insert))
                took("old down", [{"failed": elder.failures_while_down()}])
            if "burst" in options.only:
                took("burst", [{"runs": delivery.burst(server, folder)}])
        airflow = ""
        if "latency" in options.only:
            airflow, found = delivery.latencies(server, folder, options.trials)
            took("latency", [{"seconds": seconds} for seconds in found])
    return readings, airflow


def main() -> None:
    """Reads the options, runs, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=20, help="commits whose latency is measured")
    parser.add_argument("--only", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--output", type=Path, default=services.ROOT / ".platform/bench/results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        readings, airflow = measure(options, Path(name))
    (options.output / "trigger.json").write_text(json.dumps(readings, indent=1))
    print(f"\n{report.table(readings, airflow)}\n\nalso in {options.output}")


if __name__ == "__main__":
    main()
