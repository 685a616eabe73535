"""What the services share: words, settings, errors, and the store of model files. Touches no database.

The standard library is all that it needs, but for `web` (Flask) and `store` (requests).

Importing it switches off what the libraries of the services would otherwise tell their makers: nothing calls home.
"""

import os

QUIET = {
    "ORT_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
os.environ.update(QUIET)
