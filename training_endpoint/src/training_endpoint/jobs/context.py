"""What a job is done with, and what comes of it on the way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlops_contract.voucher import Voucher
from mlops_contract.words import Verdict
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Snapshot
from training_endpoint.jobs.report import Report
from training_endpoint.judge.evaluate import Labels, Probabilities
from training_endpoint.judge.exported import Served
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.release.ledger import Ruling
from training_endpoint.settings import Settings


@dataclass(frozen=True)
class Job:
    """All that a job is done with. `work` is its folder: what is there was done by an attempt before."""

    run_id: str
    job_id: str
    snapshot: Snapshot
    parameters: Hyperparameters
    settings: Settings
    report: Report
    work: Path
    clock: Clock
    conclude: Callable[["Outcome", Ruling], Any]
    """Ends the job and writes its decision, both or neither; raises `ChampionChanged` or `JobEnded`."""

    @property
    def labels(self) -> Labels:
        """The test rows' labels, int64 [rows]."""
        return np.asarray(self.snapshot.test.labels, np.int64)


@dataclass(frozen=True)
class Challenger:
    """A trained and registered version, and what it answers on the test rows."""

    voucher: Voucher
    answers: Probabilities
    served: Served
    losses: list[float]
    course: dict[str, Any] = field(default_factory=dict)
    """How it was made: `jobs.course.Course.told`."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended; `champion_version` is the Champion after the verdict, None where there is none yet."""

    verdict: Verdict
    verdict_text: str
    mlflow_run_id: str
    model_version: int
    champion_version: int | None
    metrics: dict[str, float]
    champion_metrics: dict[str, float] | None
    evidence: dict[str, Any]
    timings: dict[str, float]
    """Seconds by phase."""
    course: dict[str, Any] = field(default_factory=dict)
    """Of the challenger."""
