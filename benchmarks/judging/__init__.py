"""What is served and why: the forms of a model, and the gate that promotes."""

import sys

from tests.services import ROOT

PACKAGES = [
    str(ROOT / folder) for folder in ("contract/src", "runner/src", "model_endpoint/src", "training_endpoint/src")
]
sys.path[:0] = PACKAGES  # which are not installed
