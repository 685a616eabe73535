"""What Airflow keeps of its past, and how it is removed."""

import logging
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk.exceptions import AirflowException

from ml_platform.settings import cleaning_database, logs_folder

log = logging.getLogger(__name__)

TABLES = (
    *("dag_run", "task_instance", "task_instance_history", "task_reschedule", "xcom", "log", "job", "trigger"),
    *("callback", "import_error", "session", "revoked_token", "dag_version", "deadline", "asset_event"),
)
"""All that grows with runs, logins and restarts; of DAGs and what people set up nothing."""
LONGEST_S = 3600


def clean_database(days: float) -> int:
    """Runs `airflow db clean` for what is older; returns the number of tables looked at.

    A task's process has no way to the database, on purpose; this command gets one of its own.
    """
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    command = [sys.executable, "-m", "airflow", "db", "clean", "--clean-before-timestamp", before, "--yes"]
    command += ["--skip-archive", "--tables", ",".join(TABLES)]
    own = ("_AIRFLOW_", "__AIRFLOW_", "AIRFLOW__CORE__SQL_ALCHEMY_CONN")  # what makes a process a task's
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = cleaning_database(os.environ)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    for line in [*done.stdout.splitlines(), *done.stderr.splitlines()][-100:]:
        log.info("%s", line)
    if done.returncode:
        raise AirflowException(f"airflow db clean ended with {done.returncode}; what it said stands above.")
    return len(TABLES)


def clean_logs(days: float) -> int:
    """Deletes log files that nobody wrote to for so long, and empty folders as old; how many files those were."""
    folder, before = logs_folder(os.environ), time.time() - days * 86_400
    removed = 0
    for place, folders, names in os.walk(folder, topdown=False):
        for name in names:
            file = Path(place, name)
            if file.lstat().st_mtime < before:
                file.unlink(missing_ok=True)
                removed += 1
        for name in folders:
            below = Path(place, name)
            if not below.is_symlink() and below.stat().st_mtime < before and not any(below.iterdir()):
                below.rmdir()
    log.info("%d log files in %s were older than %g days.", removed, folder, days)
    return removed
