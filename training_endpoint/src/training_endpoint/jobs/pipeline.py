"""What a job does, in the order in which it does it: a challenger is made, a verdict found, the job concluded."""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import mlflow
from mlflow.exceptions import MlflowException

from training_endpoint import aside
from training_endpoint.errors import ChampionChanged, JobEnded
from training_endpoint.jobs import challenger, label_errors
from training_endpoint.jobs.context import Challenger, Job, Outcome
from training_endpoint.jobs.verdict import judge
from training_endpoint.judge import export
from training_endpoint.judge.evaluate import Probabilities
from training_endpoint.monitor import reference
from training_endpoint.release import peers, registry

__all__ = ["Job", "Outcome", "run"]

log = logging.getLogger(__name__)


def run(job: Job) -> Outcome:
    """Trains one model on the job's snapshot, registers it, judges it, and concludes the job.

    What only monitoring asks for later is computed when that is done, and behind everybody else.
    """
    outcome, registered = _concluded(job)
    try:
        aside.begun("misspelt", partial(_refine_reference, job, registered)).result()
    except (Exception, SystemExit):  # the job is done, also where the service goes down: what was kept before stands
        log.warning("misspelt test rows were not answered", exc_info=True)
    return outcome


def _concluded(job: Job) -> tuple[Outcome, Challenger]:
    status = "FAILED"
    try:
        with job.clock("loading"):
            job.report(phase="starting", progress=0.0, message="loading the base model")
            mlflow_run = registry.start_run(job.settings, job.run_id, job.job_id)
            job.report(mlflow_run_id=mlflow_run)
        new_rows = label_errors.of_new_rows(job)
        registered = challenger.kept(job) or challenger.make(job, mlflow_run)
        with job.clock("registering"):
            _keep_reference(job, registered)
        doubts = [new_rows, label_errors.of_test_rows(job, registered)]
        while True:
            outcome, ruling = judge(job, registered, doubts)
            try:
                job.conclude(outcome, ruling)
                break
            except ChampionChanged:
                job.report(message="the Champion has changed since the comparison: comparing again")
        status = "FINISHED"
        return outcome, registered
    except MlflowException:
        peers.check_mlflow(job.settings)  # says so when it is away
        raise
    except (SystemExit, JobEnded):
        status = "KILLED"
        raise
    finally:
        with suppress(MlflowException):
            mlflow.end_run(status)


def _keep_reference(
    job: Job, registered: Challenger, answer: Callable[[Sequence[str]], Probabilities] | None = None
) -> None:
    voucher, snapshot = registered.voucher, job.snapshot
    reference.keep(
        job.settings.database_url,
        voucher.name,
        voucher.version,
        registered.answers,
        job.labels,
        snapshot.label_names,
        snapshot.test.texts,
        registered.served.folder,
        answer,
    )


def _refine_reference(job: Job, registered: Challenger) -> None:
    """Adds what is served answers to misspelt texts, of which there are as many as there are test rows."""
    os.nice(10)  # this thread and those that it starts: replicas are loading the version now
    weights = job.work / challenger.MODEL / "model"
    _keep_reference(job, registered, partial(export.answers_to, folder=registered.served.folder, weights=weights))
