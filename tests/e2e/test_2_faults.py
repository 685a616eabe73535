"""Some of the drills of `sh test.sh chaos`, drawn anew, on the platform of containers that is up.

For CHAOS_MINUTES, none without it: not every cell has been seen to hold yet, so a draw is no gate.
"""

import os

import pytest

from tests.chaos import conftest, drill, test_faults
from tests.e2e.platform import Platform

pytestmark = pytest.mark.timeout(1200)


def test_faults_that_are_drawn_anew(platform: Platform) -> None:
    minutes = float(os.environ.get("CHAOS_MINUTES") or 0)
    if not minutes:
        pytest.skip("CHAOS_MINUTES says for how long drills are drawn")
    if platform.mode != "docker" or os.geteuid() != 0:
        pytest.skip("processes cannot be cut off from each other, and only root can kill a container's first process")
    test_faults.faults(conftest.prepared(drill.Platform(platform.folder)), minutes)
