"""Every process is killed at once, at a moment drawn anew, then `sh launch.sh`: nothing is lost.

POWER_LOSSES (10) says how often, CHAOS_SEED when. CHAOS_PLATFORM and the rest as in tests/chaos.
"""

import os
import random
import subprocess
import time
from functools import partial

import pytest

from tests.chaos import drill
from tests.chaos.conftest import platform

__all__ = ["platform"]  # the fixture

pytestmark = pytest.mark.timeout(12 * 3600)

WHEN = ("idle", "delivery", "starting", "training", "evaluating", "registering")


def lose_power(platform: drill.Platform) -> None:
    """Nothing of the platform runs after this, and nothing was told to end."""
    found = [one for service in drill.SERVICES for one in platform.containers(service)]
    drill.docker("kill", *found)
    running = drill.docker("ps", "--quiet", "--no-trunc").split()
    assert not set(found) & set(running), "something outlived the loss of power"


def _is(platform: drill.Platform, phase: str) -> bool:
    return platform.phase() == phase


def test_nothing_is_lost_with_the_power(platform: drill.Platform) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    chance = random.Random(seed)
    print(f"\nCHAOS_SEED={seed}")
    for number in range(int(os.environ.get("POWER_LOSSES") or 10)):
        when = chance.choice(WHEN)
        before = platform.sql("SELECT id, hash FROM promotion_ledger ORDER BY id")
        event = platform.insert() if when != "idle" else 0
        if when not in ("idle", "delivery"):
            drill.wait_for(f"the job is {when}", partial(_is, platform, when), interval=0.05)
        time.sleep(chance.random())
        lose_power(platform)
        start = time.monotonic()
        command = ["sh", "launch.sh"]
        done = subprocess.run(command, cwd=platform.folder, capture_output=True, text=True, check=False, timeout=1200)
        assert done.returncode == 0, f"CHAOS_SEED={seed}: {done.stdout}{done.stderr}"
        drill.wait_for("all rows are trained on", lambda: platform.uncovered() == 0)
        drill.wait_for("what the ledger names is served", platform.settled)
        after = platform.sql("SELECT id, hash FROM promotion_ledger ORDER BY id")
        assert after[: len(before)] == before, f"CHAOS_SEED={seed}: the ledger has lost decisions"
        if event:
            runs = platform.sql(f"SELECT count(DISTINCT run) FROM training_data_coverage WHERE event = {event}")
            assert runs == [["1"]], f"CHAOS_SEED={seed}: event {event} has {runs} runs"
        print(f"{number}: {when}, well again after {time.monotonic() - start:.0f} s", flush=True)
