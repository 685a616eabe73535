"""A few of the drills of `sh test.sh chaos`, drawn anew, on the platform of containers that is up."""

import os

import pytest

from tests.chaos import conftest, drill, test_faults
from tests.e2e.platform import Platform

pytestmark = pytest.mark.timeout(1200)

MINUTES = 3


def test_faults_that_are_drawn_anew(platform: Platform) -> None:
    if platform.mode != "docker" or os.geteuid() != 0:
        pytest.skip("processes cannot be cut off from each other, and only root can kill a container's first process")
    test_faults.faults(conftest.prepared(drill.Platform(platform.folder)), MINUTES)
