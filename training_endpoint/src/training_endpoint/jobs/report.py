"""How a running job tells the table training_jobs where it is, without ever waiting for the database."""

import logging
import math
import threading
from types import TracebackType
from typing import Any, Protocol

from training_endpoint.errors import DatabaseUnavailable
from training_endpoint.jobs.queue import Jobs

INTERVAL_S = 0.5

log = logging.getLogger(__name__)


class Report(Protocol):
    """What a pipeline is given to say where it is; each call changes only what it names."""

    def __call__(
        self,
        *,
        phase: str | None = None,
        progress: float | None = None,
        step: int | None = None,
        steps: int | None = None,
        epoch: float | None = None,
        eta_s: float | None = None,
        metrics: dict[str, float] | None = None,
        message: str | None = None,
        mlflow_run_id: str | None = None,
    ) -> None: ...


class Reporter:
    """A `Report` that writes the latest state from a thread of its own, at most twice a second.

    Progress is a hint for people: while the database is away it is dropped, and training goes on.
    """

    def __init__(self, jobs: Jobs, job_id: str) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self._state: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write_often, name="report", daemon=True)

    def __call__(self, **fields: Any) -> None:
        """Notes `fields`; those that are None are left as they were."""
        news = {name: finite(value) for name, value in fields.items() if value is not None}
        if "message" in news:
            log.info("%s", news["message"])
        with self._lock:
            self._state |= news

    def __enter__(self) -> "Reporter":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def flush(self) -> None:
        """Writes now what is still to be written: the row of a job that has ended takes nothing any more."""
        self._write()

    def _write_often(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self._write()
        self._write()

    def _write(self) -> None:
        with self._lock:
            news, self._state = self._state, {}
        if not news:
            return
        try:
            self._jobs.progress(self._job_id, news)
        except DatabaseUnavailable as error:
            log.warning("progress was not written: %s", error.message)
            with self._lock:
                self._state = news | self._state


def finite(value: Any) -> Any:
    """`value` with NaN and infinity, which JSON does not have, as None, at any depth."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
