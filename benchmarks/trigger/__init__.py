"""What the trigger costs a writer, and how soon Airflow knows: `python -m benchmarks.trigger`."""

import sys

from tests.services import ROOT

sys.path[:0] = [str(ROOT / folder) for folder in ("contract/src", "db/src")]  # which are not installed
