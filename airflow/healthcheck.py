"""Exit status 0 when one part of Airflow is healthy: `healthcheck.py URL [PART]`. Airflow's own check costs seconds.

The API server lists its parts and answers 200 in any case; the scheduler's own door answers by its status alone.
"""

import json
import sys
import urllib.request

if __name__ == "__main__":
    url, *parts = sys.argv[1:]
    with urllib.request.urlopen(url, timeout=8) as answer:  # noqa: S310 - the address stands in compose.yaml
        state = json.load(answer) if parts else {}
    ill = [f"{part} is {state[part]['status']}" for part in parts if state[part]["status"] != "healthy"]
    sys.exit(", ".join(ill) or None)
