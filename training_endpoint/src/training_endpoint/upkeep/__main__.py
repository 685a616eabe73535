"""What takes room, and a clean-up now: `sh launch.sh clean [--dry-run]` runs it.

Asks the running service (TRAINING_URL, PLATFORM_TOKEN). Exit status 0 when all is done, else 1.
"""

import argparse
import os
import sys
from typing import Any

from training_endpoint.release.__main__ import Problem, ask
from training_endpoint.upkeep.space import said


def main(arguments: list[str], environment: dict[str, str]) -> int:
    """Removes what is kept no longer, or says what that would be."""
    parser = argparse.ArgumentParser(prog="sh launch.sh clean", description="Remove what is kept no longer.")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed, and remove nothing")
    parser.add_argument("--brief", action="store_true", help="say how much would be removed, and remove nothing")
    given = parser.parse_args(arguments)
    try:
        done = {} if given.dry_run or given.brief else ask(environment, "POST", "/clean", {})
        told = ask(environment, "GET", "/storage")
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    lines = [_brief(told)] if given.brief else _lines(done, told)
    print("\n".join([*lines, *map(_place, told["places"])]))
    trouble = done.get("trouble") or told["next"]["trouble"]
    if trouble:
        print(f"Not all could be done now: {trouble}", file=sys.stderr)
    return 1 if trouble else 0


def _lines(done: dict[str, Any], told: dict[str, Any]) -> list[str]:
    if done:
        return [f"removed {one}" for one in done["removed"]] or ["Nothing was to be removed."]
    return [f"would remove {one}" for one in told["next"]["removals"]] or ["Nothing is to be removed."]


def _brief(told: dict[str, Any]) -> str:
    count = len(told["next"]["removals"])
    return f"\nThe next clean-up removes {count or 'nothing'}{' things: sh launch.sh clean --dry-run' if count else ''}"


def _place(room: dict[str, Any]) -> str:
    free = "" if room["free"] is None else f", {said(room['free'])} free of {said(room['total'])}"
    return f"{room['place']:<20} {said(room['used'])} used{free}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], dict(os.environ)))
