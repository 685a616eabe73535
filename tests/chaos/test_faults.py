"""Every service, killed, frozen and cut off, at every moment; then the invariants, with no hand on it.

CHAOS_MINUTES (4) says for how long cells are drawn, CHAOS_SEED in which order; CHAOS_CELLS=all runs all of them, or
names some: `CHAOS_CELLS="nginx kill load,model-endpoint"`. A freeze or a cut lasts CHAOS_SECONDS (20). CHAOS_TABLE is a
file for the table: what stands in it as held is not run again, so that all can be run in several sittings.
"""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import drill

pytestmark = pytest.mark.timeout(24 * 3600)

LONG_S = 150
SHORT_S = 60
BATCH = 6


def test_faults(platform: drill.Platform) -> None:
    faults(platform, float(os.environ.get("CHAOS_MINUTES") or 4))


def faults(platform: drill.Platform, minutes: float) -> None:
    """Runs the cells that CHAOS_CELLS names, or draws some for so many minutes; prints their table."""
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    wanted = os.environ.get("CHAOS_CELLS", "")
    until = time.monotonic() + 60 * minutes
    seconds = float(os.environ.get("CHAOS_SECONDS") or 20)
    file = Path(os.environ.get("CHAOS_TABLE") or os.devnull)
    rows = drill.read_table(file.read_text()) if file.exists() else {}
    cells = [cell for cell in drill.CELLS if cell not in rows]
    random.Random(seed).shuffle(cells)
    if wanted not in ("", "all"):
        named = [set(part.split()) for part in wanted.split(",")]
        cells = [cell for cell in cells if any(words <= set(str(cell).split()) for words in named)]
    print(f"\nCHAOS_SEED={seed}: {len(cells)} cells, {len(rows)} have been run before", flush=True)
    broken: dict[str, list[str]] = {}
    for together in batches(cells, BATCH if wanted else 1):
        if not wanted and time.monotonic() + (LONG_S if together[0].long else SHORT_S) > until:
            continue
        for cell, outcome in drill.run(platform, together, seconds).items():
            rows[cell] = drill.row(cell, outcome)
            print(" | ".join(rows[cell]), flush=True)
            if outcome.broken:
                broken[str(cell)] = outcome.broken
        if file != Path(os.devnull):
            file.write_text(drill.table(rows))
    print(drill.table(rows))
    assert rows, "no cell fitted into CHAOS_MINUTES"
    assert not broken, f"CHAOS_SEED={seed}: {broken}"


def batches(cells: list[drill.Cell], most: int) -> Iterator[list[drill.Cell]]:
    """Up to so many cells together where one job can be theirs: they come right after each other."""
    shared: dict[str, list[drill.Cell]] = {"delivery": [], "training": []}
    for cell in cells:
        waiting = shared.get(cell.moment)
        if waiting is None:
            yield [cell]
            continue
        waiting.append(cell)
        if len(waiting) == most:
            yield waiting.copy()
            waiting.clear()
    yield from filter(None, shared.values())
