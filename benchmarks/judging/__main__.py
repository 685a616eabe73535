"""How what is served is chosen, and whether the choice holds.

python -m benchmarks.judging            # the forms of a model, then the gate
python -m benchmarks.judging --forms    # trains models where none are kept: an hour with three more sets
python -m benchmarks.judging --gate     # simulated runs: seconds
"""

import argparse
from pathlib import Path


def main() -> None:
    """Reads the options, runs, prints tables."""
    from benchmarks.judging import forms, gate  # noqa: PLC0415 - after --help

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forms", action="store_true", help="only the forms in which models are served")
    parser.add_argument("--gate", action="store_true", help="only the gate that promotes")
    parser.add_argument("--histories", type=int, default=gate.HISTORIES, help="simulated histories of runs")
    parser.add_argument("--data", type=Path, help="a folder of folders with train and test, beside the sample")
    parser.add_argument("--seeds", type=int, default=3, help="models of each set")
    parser.add_argument("--rows", type=int, help="at most so many rows of each file")
    parser.add_argument("--models", type=Path, default=forms.KEPT, help="where trained models are kept, and taken from")
    options = parser.parse_args()
    if options.forms or not options.gate:
        print(forms.report(options.data, options.seeds, options.rows, options.models), flush=True)
    if options.gate or not options.forms:
        print(gate.report(options.histories))


if __name__ == "__main__":
    main()
