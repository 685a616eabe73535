"""Every service, killed, frozen and cut off, at every moment; then the invariants, with no hand on it.

CHAOS_MINUTES (4) says for how long cells are drawn, CHAOS_SEED in which order; CHAOS_CELLS=all runs all of them, or
names some: `CHAOS_CELLS="nginx kill load,model-endpoint"`. A freeze or a cut lasts CHAOS_SECONDS (20).
"""

import os
import random
import time
from pathlib import Path

import pytest

from tests.chaos import drill

pytestmark = pytest.mark.timeout(24 * 3600)

LONG_S = 150
SHORT_S = 60


def test_faults(platform: drill.Platform) -> None:
    faults(platform, float(os.environ.get("CHAOS_MINUTES") or 4))


def faults(platform: drill.Platform, minutes: float) -> None:
    """Runs the cells that CHAOS_CELLS names, or draws some for so many minutes; prints their table."""
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    wanted = os.environ.get("CHAOS_CELLS", "")
    until = time.monotonic() + 60 * minutes
    seconds = float(os.environ.get("CHAOS_SECONDS") or 20)
    cells = list(drill.CELLS)
    random.Random(seed).shuffle(cells)
    named = [part.strip().split() for part in wanted.split(",")] if wanted not in ("", "all") else []
    if named:
        cells = [cell for cell in drill.CELLS if any(set(words) <= set(str(cell).split()) for words in named)]
    print(f"\nCHAOS_SEED={seed}")
    outcomes: dict[drill.Cell, drill.Outcome] = {}
    for cell in cells:
        if not wanted and time.monotonic() + (LONG_S if cell.long else SHORT_S) > until:
            continue
        outcomes[cell] = drill.run(platform, cell, seconds)
        print(f"{cell}: {outcomes[cell]}", flush=True)
    told = drill.table(outcomes)
    print(told)
    if os.environ.get("CHAOS_TABLE"):
        Path(os.environ["CHAOS_TABLE"]).write_text(told + "\n")
    assert outcomes, "no cell fitted into CHAOS_MINUTES"
    broken = {str(cell): one.broken for cell, one in outcomes.items() if one.broken}
    assert not broken, f"CHAOS_SEED={seed}: {broken}"
