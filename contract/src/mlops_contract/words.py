"""Statuses and verdicts as they travel over HTTP and stand in the database."""

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a training job is; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


class Verdict(StrEnum):
    """What a finished training job decided about the Champion."""

    FIRST_CHAMPION = "first_champion"
    PROMOTED = "promoted"
    KEPT_NO_DIFFERENCE = "kept_no_difference"
    KEPT_WORSE = "kept_worse"
    KEPT_FAILED_CHECK = "kept_failed_check"
    KEPT_PINNED = "kept_pinned"

    @property
    def moves_champion(self) -> bool:
        return self in (Verdict.FIRST_CHAMPION, Verdict.PROMOTED)
