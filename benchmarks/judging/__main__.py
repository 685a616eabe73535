"""How what is served is chosen, and whether the choice holds.

python -m benchmarks.judging            # the forms of a model, then the gate
python -m benchmarks.judging --gate     # simulated runs: seconds
"""

import argparse

from benchmarks.judging import gate


def main() -> None:
    """Reads the options, runs, prints tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", action="store_true", help="only the gate that promotes")
    parser.add_argument("--histories", type=int, default=gate.HISTORIES, help="simulated histories of runs")
    options = parser.parse_args()
    print(gate.report(options.histories))


if __name__ == "__main__":
    main()
