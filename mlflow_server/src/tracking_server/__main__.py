"""Checks the settings, then becomes `mlflow server` with our application; the arguments are that command's own."""

import os
import sys

from mlops_contract.env import SettingError
from tracking_server.settings import Settings

APP = "platform"  # the entry point in tracking_server.dist-info, by which MLflow finds our application


def main() -> None:
    """Never returns."""
    try:
        Settings.from_env(os.environ)
    except SettingError as error:
        sys.exit(f"tracking server: {error}")
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", APP, *sys.argv[1:]]
    os.execv(sys.executable, command)  # noqa: S606


if __name__ == "__main__":
    main()
