"""The queue of training jobs: the table training_jobs, and nothing that is kept anywhere else."""

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from mlops_contract.words import JobStatus
from training_endpoint import database
from training_endpoint.errors import JobEnded, JobNotFound, QueueFull

Job = dict[str, Any]
"""A row of training_jobs: its columns by name, `request` and `detail` as dictionaries."""


@dataclass(frozen=True)
class Jobs:
    """Every step of a job's life is one statement that checks the status it starts from, so steps cannot collide."""

    url: str

    def submit(
        self, run_id: str, request: dict[str, Any], most_queued: int = 2**31 - 1, classifier: str | None = None
    ) -> tuple[Job, bool]:
        """Queues a job and returns it with True; a known `run_id` gives the job it has already, and False.

        `classifier` None leaves it to the job's start which one is the default.
        Raises `QueueFull` for a new one where `most_queued` wait already.
        """
        row = {"job_id": uuid.uuid4().hex, "run_id": run_id, "request": Jsonb(request), "most_queued": most_queued}
        row["classifier"] = classifier
        with database.connect(self.url) as connection:
            connection.execute(database.query("job_queue_lock"))
            created = connection.execute(database.query("job_insert"), row).fetchone()
            job = created or connection.execute(database.query("job_by_run"), row).fetchone()
        if job is None:
            raise QueueFull(
                f"{most_queued} jobs are waiting already: try again when some have ended, or cancel some "
                "(DELETE /train/JOB_ID); MAX_QUEUED_JOBS sets how many may wait."
            )
        return self._placed([job])[0], created is not None

    def get(self, job_id: str) -> Job:
        """The job, or `JobNotFound`."""
        job = self._one("job_get", {"job_id": job_id})
        if job is None:
            raise JobNotFound(f"There is no job {job_id}: GET /train lists the jobs.")
        return self._placed([job])[0]

    def newest(self, limit: int) -> list[Job]:
        """The newest `limit` jobs, newest first."""
        with database.connect(self.url) as connection:
            found = connection.execute(database.query("job_list"), {"limit": limit}).fetchall()
        return self._placed(found)

    def counts(self) -> dict[str, int]:
        """Jobs by status."""
        with database.connect(self.url) as connection:
            rows = connection.execute(database.query("job_counts")).fetchall()
        return {row["status"]: row["jobs"] for row in rows}

    def newest_succeeded(self) -> Job | None:
        """The job that succeeded last."""
        return self._one("job_newest_succeeded", {})

    def covered_by(self, run_id: str, classifier: str) -> str | None:
        """The run that trained on the events which started the run `run_id`; None where no event did."""
        row = self._one("job_events_covered_by", {"run_id": run_id, "classifier": classifier})
        return str(row["run_id"]) if row else None

    def cancel(self, job_id: str) -> Job:
        """Ends a queued or running job; a cancelled one stays so; `JobEnded` for one that ended otherwise."""
        cancelled = self._one("job_cancel", {"job_id": job_id})
        if cancelled is not None:
            return cancelled
        job = self.get(job_id)
        if job["status"] != "cancelled":
            raise JobEnded(f"Job {job_id} has {job['status']} already: there is nothing to cancel.")
        return job

    def claim(self) -> Job | None:
        """The next job, now running: an interrupted one first, then the oldest queued one."""
        return self._one("job_claim", {})

    def progress(self, job_id: str, state: dict[str, Any]) -> None:
        """Writes what a job reports; nothing happens once it has ended."""
        columns = {name: state.get(name) for name in ("phase", "progress", "mlflow_run_id")}
        detail = {name: value for name, value in state.items() if name not in columns}
        with database.connect(self.url) as connection:
            connection.execute(database.query("job_progress"), {**columns, "detail": Jsonb(detail), "job_id": job_id})

    def succeed(
        self,
        job_id: str,
        result: dict[str, Any],
        event_ids: list[int],
        decide: Callable[[database.Connection], None] = lambda connection: None,
        classifier: str | None = None,
    ) -> Job:
        """Ends a running job well. In the same transaction it decides, and records which events of whom it covers.

        So a job that was cancelled or killed before has decided nothing, and one after has decided all.
        """
        columns = {name: result[name] for name in ("verdict", "mlflow_run_id", "model_version")}
        detail = {name: value for name, value in result.items() if name not in columns}
        with database.connect(self.url) as connection:
            decide(connection)
            ended = connection.execute(
                database.query("job_succeed"), {**columns, "detail": Jsonb(detail), "job_id": job_id}
            ).fetchone()
            if ended is None:
                raise JobEnded(f"Job {job_id} is no longer running, so it ends nothing.")
            connection.execute(
                database.query("coverage_insert"),
                {"event_ids": event_ids, "job_id": job_id, "classifier": classifier or ended["classifier"]},
            )
        return ended

    def fail(self, job_id: str, error: str) -> Job:
        """Ends a running job with a sentence for people; its events stay uncovered."""
        return self._one("job_fail", {"job_id": job_id, "error": error}) or self.get(job_id)

    def _placed(self, jobs: list[Job]) -> list[Job]:
        """`jobs`, with the place and the time in the details of those that wait."""
        if any(job["status"] == JobStatus.QUEUED for job in jobs):
            with database.connect(self.url) as connection:
                waits = {row["job_id"]: row for row in connection.execute(database.query("job_waits"))}
            for job in jobs:
                if wait := waits.get(job["job_id"]):
                    del wait["job_id"]
                    job["detail"] |= {**wait, "message": _told(**wait)}
        return jobs

    def _one(self, name: str, parameters: dict[str, Any]) -> Job | None:
        with database.connect(self.url) as connection:
            return connection.execute(database.query(name), parameters).fetchone()


def _told(place: int, starts_in_s: float | None) -> str:
    """Where a job stands in the queue, for people."""
    begins = "" if starts_in_s is None else f", begins in about {math.ceil(starts_in_s / 60)} min"
    return f"waiting: place {place} in the queue{begins}"


def view(job: Job) -> dict[str, Any]:
    """The job as GET /train/{job_id} answers it; times are ISO 8601, fields not known yet are null."""
    detail = job["detail"]
    return {
        **{name: job[name] for name in ("job_id", "run_id", "classifier", "status", "phase", "progress")},
        **{name: detail.get(name) for name in ("place", "starts_in_s", "step", "steps", "epoch", "eta_s")},
        **{name: detail.get(name) for name in ("metrics", "message")},
        **{name: job[name] for name in ("error", "mlflow_run_id", "model_version", "verdict")},
        **{name: detail.get(name) for name in ("verdict_text", "champion_version", "champion_metrics", "evidence")},
        **{name: detail.get(name) for name in ("dataset", "course", "timings", "attempts")},
        "request": job["request"],
        **{name: job[name] and job[name].isoformat() for name in ("created_at", "started_at", "finished_at")},
        "url": f"/train/{job['job_id']}",
    }
