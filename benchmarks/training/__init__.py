"""How fast and how well we train, and what a job costs beside it: `python -m benchmarks.training`."""

import sys

from tests.services import ROOT

PACKAGES = [str(ROOT / folder) for folder in ("contract/src", "runner/src", "training_endpoint/src")]
sys.path[:0] = PACKAGES  # which are not installed
