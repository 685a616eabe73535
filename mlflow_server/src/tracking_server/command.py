"""MLflow's own command beside the server, which knows the server's database: `mlflow gc` needs nothing else."""

import os
from collections.abc import Mapping

from mlflow.cli import cli


def defaults(variables: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What `mlflow gc` would have to be told; no password stands in a command line."""
    given = {
        "backend_store_uri": variables.get("MLFLOW_BACKEND_STORE_URI", ""),
        "artifacts_destination": variables.get("MLFLOW_ARTIFACTS_DESTINATION", ""),
    }
    return {"gc": {name: value for name, value in given.items() if value}}


if __name__ == "__main__":
    cli(default_map=defaults(os.environ), prog_name="mlflow")
