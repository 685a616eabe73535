"""What was deleted in MLflow, for good: the rows and files that its own `mlflow gc` takes away, once a day."""

import logging
import subprocess
import sys
import threading

from tracking_server.settings import Settings

FIRST_S, PAUSE_S = 600, 86_400
LONGEST_S = 3600

log = logging.getLogger("uvicorn.error")


def start(settings: Settings) -> None:
    """Begins, in a thread that ends with the process."""
    threading.Thread(target=_run, args=(settings.keep_deleted_days,), name="purge", daemon=True).start()


def _run(days: float) -> None:
    wait, pause = threading.Event(), FIRST_S
    while not wait.wait(pause):
        purge(days)
        pause = PAUSE_S


def purge(days: float) -> int:
    """Takes away what was deleted more than `days` ago; how many runs and models that were. Never raises."""
    command = [sys.executable, "-m", "tracking_server.command", "gc", "--older-than", f"{days:g}d"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("mlflow gc did not end: %s", type(error).__name__)
        return 0
    if done.returncode:
        log.warning("mlflow gc failed: %s", (done.stderr.strip().splitlines() or ["no word"])[-1])
    purged = done.stdout.count("has been permanently deleted")
    if purged:
        log.info("purged %d runs and models that were deleted more than %g days ago", purged, days)
    return purged
