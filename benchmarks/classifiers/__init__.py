"""What many classifiers cost: `python -m benchmarks.classifiers`."""

import sys

from tests.services import ROOT

# Which are not installed.
sys.path[:0] = [
    str(ROOT / folder)
    for folder in ("contract/src", "runner/src", "model_endpoint/src", "training_endpoint/src", "db/src")
]
