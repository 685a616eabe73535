"""What labels are worth: until the shadow is decided about, and how often that is wrong; what is learned of those
that the queue chose and of random ones; how many wrong ones are found; how soon a label is served.

python -m benchmarks.labelling [--only shadow|aa|queue|errors|served …]
"""

import argparse
import importlib
import sys

PARTS = ("shadow", "aa", "queue", "errors", "served")
"""Modules of this package, each with `measure(say)`, which gives lines of a table: what, wanted, reached."""


def say(what: str) -> None:
    """While it goes on."""
    print(what, file=sys.stderr, flush=True)


def main() -> None:
    """Reads the options, runs, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS)
    lines: list[str] = []
    for part in parser.parse_args().only:
        lines += importlib.import_module(f"benchmarks.labelling.{part}").measure(say)
    print("\n".join(["| what | wanted | reached |", "| --- | --- | --- |", *lines]))


if __name__ == "__main__":
    main()
