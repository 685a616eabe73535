"""What a job does, in the order in which it does it: a challenger is made, a verdict found, the job concluded."""

from contextlib import suppress
from functools import partial

import mlflow
from mlflow.exceptions import MlflowException

from training_endpoint.errors import ChampionChanged, JobEnded
from training_endpoint.jobs import challenger, label_errors
from training_endpoint.jobs.context import Job, Outcome
from training_endpoint.jobs.verdict import judge
from training_endpoint.judge import export
from training_endpoint.monitor import reference
from training_endpoint.release import peers, registry

__all__ = ["Job", "Outcome", "run"]


def run(job: Job) -> Outcome:
    """Trains one model on the job's snapshot, registers it, judges it, and concludes the job."""
    status = "FAILED"
    try:
        with job.clock("loading"):
            job.report(phase="starting", progress=0.0, message="loading the base model")
            mlflow_run = registry.start_run(job.settings, job.run_id, job.job_id)
            job.report(mlflow_run_id=mlflow_run)
        new_rows = label_errors.of_new_rows(job)
        registered = challenger.kept(job) or challenger.make(job, mlflow_run)
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
            partial(export.answers_to, folder=registered.served.folder, weights=job.work / challenger.MODEL / "model"),
        )
        doubts = [new_rows, label_errors.of_test_rows(job, registered)]
        while True:
            outcome, ruling = judge(job, registered, doubts)
            try:
                job.conclude(outcome, ruling)
                break
            except ChampionChanged:
                job.report(message="the Champion has changed since the comparison: comparing again")
        status = "FINISHED"
        return outcome
    except MlflowException:
        peers.check_mlflow(job.settings)  # says so when it is away
        raise
    except (SystemExit, JobEnded):
        status = "KILLED"
        raise
    finally:
        with suppress(MlflowException):
            mlflow.end_run(status)
