"""Words that every service of the platform shares. Standard library only; `web` alone needs Flask.

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
