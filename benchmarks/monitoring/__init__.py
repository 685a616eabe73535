"""What the log of predictions costs and how it is when it is large, what an outage of the database costs, and how right
the estimated accuracy is."""

import sys

from tests.services import ROOT

# Which are not installed.
sys.path[:0] = [
    str(ROOT / folder) for folder in ("contract/src", "runner/src", "model_endpoint/src", "training_endpoint/src")
]
