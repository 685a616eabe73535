"""The log's price at 32 connections, an outage, alarms, estimated against true accuracy, a large log.

python -m benchmarks.monitoring [--rounds 30] [--seconds 2] [--outage 60] [--estimates FOLDER]
                                [--rows 3000000] [--only load|simulated|estimates|size]

FOLDER has the folders sst2 and subj, with train.tsv, test.tsv (sst2 dev.tsv too) of the columns text and label.
"""

import argparse
import sys
import tempfile
from pathlib import Path


def say(what: str) -> None:
    """While it goes on."""
    print(what, file=sys.stderr, flush=True)


def main() -> None:
    """Reads the options, runs, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--outage", type=float, default=60)
    parser.add_argument("--estimates", type=Path)
    parser.add_argument("--seeds", type=int, default=3, help="models that estimates are made of")
    parser.add_argument("--only", choices=("load", "simulated", "estimates", "size"))
    parser.add_argument("--rows", type=int, default=3_000_000, help="of the large log")
    parser.add_argument("--others", type=int, help="of its days that no figure reads, each; as many as the others")
    options = parser.parse_args()
    lines: list[str] = []
    if options.only in (None, "load"):
        from benchmarks.monitoring import load  # noqa: PLC0415 - after --help

        with tempfile.TemporaryDirectory() as home:
            lines += load.measure(Path(home), options.rounds, options.seconds, options.outage, say)
    if options.only in (None, "simulated"):
        from benchmarks.monitoring import simulated  # noqa: PLC0415

        lines += simulated.measure(say)
    if options.estimates and options.only in (None, "estimates"):
        from benchmarks.monitoring import estimates  # noqa: PLC0415

        lines += estimates.measure(options.estimates, say, options.seeds)
    if options.only in (None, "size"):
        from benchmarks.monitoring import size  # noqa: PLC0415

        with tempfile.TemporaryDirectory() as home:
            others = options.rows // size.DAYS if options.others is None else options.others
            lines += size.measure(Path(home), options.rows, others, say)
    print("\n".join(["| what | wanted | reached |", "| --- | --- | --- |", *lines]))


if __name__ == "__main__":
    main()
