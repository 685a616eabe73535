"""Takes queued jobs one by one and runs each as a process group of its own, which has been waiting for it."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

from mlops_contract.words import JobStatus
from training_endpoint.errors import DatabaseUnavailable, JobNotFound
from training_endpoint.jobs import slack
from training_endpoint.jobs.queue import Job, Jobs
from training_endpoint.learn import device
from training_endpoint.release import peers
from training_endpoint.settings import Settings

POLL_S = 0.5
COMMAND = (sys.executable, "-m", "training_endpoint.jobs.job")

log = logging.getLogger(__name__)


class Runner:
    """One thread and one child, which imports what a job needs, then waits for the id of one, so no job waits for that.

    The table is the truth: a cancelled row is what stops a running child. `stop` ends the child but leaves its row
    `running`, so the next start takes it up again.
    """

    def __init__(self, settings: Settings, command: tuple[str, ...] = COMMAND, retry_s: float = 10) -> None:
        self._settings = settings
        self._jobs = Jobs(settings.database_url)
        self._command = command
        self._retry_s = retry_s
        self._waiting: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run_all, name="runner", daemon=True)

    def start(self) -> None:
        """Begins to take jobs."""
        self._thread.start()

    def stop(self) -> None:
        """Ends a running child and returns when it is gone."""
        self._stopping.set()
        self.wake()
        self._thread.join()

    def wake(self) -> None:
        """There is a new job, which need not wait for the next look."""
        self._woken.set()

    def _run_all(self) -> None:
        while not self._stopping.is_set():
            pause = POLL_S
            self._woken.clear()
            try:
                self._waiting = self._waiting or self._child()
                job = self._jobs.claim()
                if job is not None:
                    pause = self._run_one(job)
                    self._discard_ended()
            except DatabaseUnavailable as error:
                log.warning("%s", error.message)
                pause = self._retry_s
            except Exception:
                log.exception("the runner goes on after an unexpected error")
                pause = self._retry_s
            self._woken.wait(pause)
        if self._waiting is not None:
            _discard(self._waiting)

    def _child(self) -> subprocess.Popen[bytes]:
        environment = {**device.ENVIRONMENT, **os.environ}
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True, env=environment)

    def _run_one(self, job: Job) -> float:
        """Runs `job` and returns the seconds to wait before the next."""
        job_id, attempts = job["job_id"], job["detail"]["attempts"]
        if attempts > self._settings.max_attempts:
            self._fail(
                job_id, f"Interrupted {attempts - 1} times, and not tried again: the service's log says by what."
            )
            return 0
        log.info("job %s of %s starts, attempt %d", job_id, job["run_id"], attempts)
        child, self._waiting = self._waiting or self._child(), None
        if child.poll() is not None:  # it died while it waited
            _discard(child)
            child = self._child()
        try:
            with suppress(BrokenPipeError):  # when it has just died, its status says so below
                _give(child, f"{job_id} {time.monotonic()}\n")
            self._watch(child, job_id)
        finally:
            _end(child)
        if self._stopping.is_set():
            return 0
        job = self._jobs.get(job_id)
        if job["status"] == JobStatus.CANCELLED and job["mlflow_run_id"]:
            peers.end_run(self._settings, job["mlflow_run_id"], "KILLED")
        if job["status"] != JobStatus.RUNNING:
            return 0
        if child.returncode == os.EX_TEMPFAIL:
            return self._retry_s
        if child.returncode == -signal.SIGKILL and attempts < self._settings.max_attempts:
            log.warning("job %s goes on: %s", job_id, _why(child.returncode))
            return self._retry_s
        self._fail(job_id, _why(child.returncode))
        return 0

    def _watch(self, child: subprocess.Popen[bytes], job_id: str) -> None:
        """Returns when the child has ended; ends it when its job was cancelled or the service stops."""
        while True:
            try:
                child.wait(POLL_S)
                return
            except subprocess.TimeoutExpired:
                if self._stopping.is_set() or self._cancelled(job_id):
                    break
        log.info("job %s is being stopped", job_id)
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(self._settings.cancel_grace_s)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def _cancelled(self, job_id: str) -> bool:
        try:
            return bool(self._jobs.get(job_id)["status"] == JobStatus.CANCELLED)
        except DatabaseUnavailable:
            return False
        except JobNotFound:
            return True

    def _fail(self, job_id: str, reason: str) -> None:
        log.warning("job %s failed: %s", job_id, reason)
        job = self._jobs.fail(job_id, reason)
        if job["mlflow_run_id"]:
            peers.end_run(self._settings, job["mlflow_run_id"], "FAILED")
        slack.announce(self._settings, job)

    def _discard_ended(self) -> None:
        """Removes the folders of jobs that are over: checkpoints are large."""
        for folder in (self._settings.state_dir / "jobs").glob("*"):
            with suppress(JobNotFound):
                if not JobStatus(self._jobs.get(folder.name)["status"]).final:
                    continue
            shutil.rmtree(folder, ignore_errors=True)


def _give(child: subprocess.Popen[bytes], line: str) -> None:
    if child.stdin is not None:
        with child.stdin as stream:
            stream.write(line.encode())


def _discard(child: subprocess.Popen[bytes]) -> None:
    """Ends a child that has no job yet, so nothing of its own either."""
    with child:
        child.kill()


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kills what is left of a child that had a job, and all that it started."""
    with child, suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _why(code: int) -> str:
    """What an exit status that no job chooses says about the end of the process."""
    if code == -signal.SIGKILL:
        return (
            "The training process was killed, most likely because the machine's memory was full: "
            "lower batch_size or max_rows, or give it more memory."
        )
    if code < 0:
        name = signal.Signals(-code).name
        return f"The training process crashed ({name}); the service's log has the details."
    return f"The training process ended with status {code} and without a result; the service's log has the details."
