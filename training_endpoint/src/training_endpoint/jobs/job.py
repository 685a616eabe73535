"""One training job in a process of its own: `python -m training_endpoint.jobs.job`.

The process is started by `runner`, alone in its process group, before there is a job. It imports what one needs, then
waits for a line on its standard input: the job's id, and the time.monotonic() at which it was given. SIGTERM (a
cancelled job, or the service going down) raises SystemExit wherever the job is, so that the pipeline can close its
MLflow run; what was cancelled stays cancelled, and what was interrupted is started again in the same folder.
"""

import errno
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

from mlflow.utils import requirements_utils
from psycopg.types.json import Jsonb

from mlops_contract.errors import PlatformError
from training_endpoint import database, process
from training_endpoint.clock import Clock
from training_endpoint.data import classifiers, lineage, snapshot
from training_endpoint.data.snapshot import Snapshot
from training_endpoint.database import Connection
from training_endpoint.errors import DatabaseUnavailable, JobEnded, MlflowUnavailable
from training_endpoint.jobs import pipeline, room, slack
from training_endpoint.jobs.queue import Job, Jobs
from training_endpoint.jobs.report import Reporter, finite
from training_endpoint.learn import device
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.release import ledger, peers
from training_endpoint.release.ledger import Ruling
from training_endpoint.settings import Settings
from training_endpoint.shadow import shadows
from training_endpoint.upkeep import space

TRY_AGAIN = os.EX_TEMPFAIL
"""Exit status: a service that the job needs was away; the job is still `running` and may be started again."""
PATIENCE_S = 600.0
"""How long a job waits for an absent service, at its start and at its end, before it is to be started again."""

IMPORTED = (
    "cleanlab.filter",
    "matplotlib.backends.backend_agg",
    "mlflow.pyfunc",
    "mlflow.transformers",
    "onnxruntime.transformers.optimizer",
    "pandas",
    "scipy.stats",
    "training_endpoint.judge.graph",
    "training_endpoint.judge.rows",
    "transformers.modeling_utils",
    "transformers.models.auto.feature_extraction_auto",
    "transformers.models.auto.image_processing_auto",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.processing_auto",
    "transformers.models.auto.tokenization_auto",
)
"""What a job imports sooner or later, some ten seconds' worth where the processor is slow."""

log = logging.getLogger(__name__)


def main(job_id: str, settings: Settings, given_at: float) -> int:
    """Runs the job, given at that time.monotonic(), to its end and returns the process's exit status."""
    clock = Clock({"starting": round(time.monotonic() - given_at, 2)})
    jobs = Jobs(settings.database_url)
    try:
        job = jobs.get(job_id)
        if job["status"] != "running":
            return 0
        work = settings.state_dir / "jobs" / job_id
        work.mkdir(parents=True, exist_ok=True)
        ended = _run(job, jobs, settings, work, clock)
    except (DatabaseUnavailable, MlflowUnavailable) as error:
        log.warning("job %s stops for now: %s", job_id, error.message)
        return TRY_AGAIN
    except JobEnded as error:
        log.info("%s", error.message)
        return 0
    slack.announce(settings, ended)
    return 0


def _run(job: Job, jobs: Jobs, settings: Settings, work: Path, clock: Clock) -> Job:
    """The job's end as it stands in the table. Only an absent service or a cancelled job raises."""
    job_id = job["job_id"]
    try:
        classifier = classifiers.get(settings.database_url, job["classifier"])
        settings = classifier.settings(settings)
        with Reporter(jobs, job_id) as report:
            room.to_begin(settings, report)
            with clock("reading"):
                taken = _snapshot(settings, work, classifier.name)
            report(phase="reading", message=_said(taken), dataset=_described(taken))
            before = None if taken.event_ids else jobs.covered_by(job["run_id"], taken.name)
            if before is not None:
                report.flush()
                return _nothing_new(jobs, job_id, before, settings)
            return _train(job, jobs, taken, settings, report, work, clock)
    except (DatabaseUnavailable, MlflowUnavailable, JobEnded):
        raise
    except PlatformError as error:
        log.warning("job %s failed: %s", job_id, error.message)
        reason = error.message
    except Exception as error:
        log.exception("job %s failed", job_id)
        # MLflow's client has its own errors; raises MlflowUnavailable where the server is the reason.
        peers.check_mlflow(settings)
        reason = (
            f"{space.STATE} is full: free some, or give it more. What was not trained on is tried again by itself."
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            else "The memory is full: lower batch_size or max_rows, or choose a smaller base_model."
            if device.out_of_memory(error)
            else f"Training failed ({type(error).__name__}: {error}); the service's log has the details."
        )
    failed: Job = _patiently(lambda: jobs.fail(job_id, reason[:2000]))
    return failed


def _nothing_new(jobs: Jobs, job_id: str, before: str, settings: Settings) -> Job:
    """Ends a job whose rows another run has trained on since they started it: no event gives two runs."""
    newest = ledger.newest(settings.database_url, settings.model_name)
    told = f"nothing was trained: {before} has trained on all rows that started this run"
    result = {"verdict": None, "mlflow_run_id": None, "model_version": None, "verdict_text": told, "message": told}
    champion = {"champion_version": newest.to_version if newest else None}
    ended: Job = _patiently(lambda: jobs.succeed(job_id, result | champion, []))
    return ended


def _train(
    job: Job, jobs: Jobs, taken: Snapshot, settings: Settings, report: Reporter, work: Path, clock: Clock
) -> Job:
    """The job's row, once the pipeline has concluded it."""
    ended: list[Job] = []

    def conclude(outcome: pipeline.Outcome, ruling: Ruling) -> None:
        fields = {name: value for name, value in asdict(outcome).items() if name != "verdict"}
        message = f"{outcome.verdict}: {outcome.verdict_text}"
        result: dict[str, Any] = finite({**fields, "verdict": str(outcome.verdict), "message": message, "eta_s": 0})
        decided = replace(ruling, evidence=finite(ruling.evidence))

        def decide(connection: Connection) -> None:
            ledger.decide_for_job(connection, settings.model_name, job["job_id"], decided)
            shadows.after_verdict(connection, settings.model_name, decided, taken.label_names)
            if outcome.verdict.moves_champion:
                labels = Jsonb(taken.label_names)
                connection.execute(database.query("classifier_learned"), {"name": taken.name, "labels": labels})

        report.flush()
        events = taken.event_ids
        ended.append(_patiently(lambda: jobs.succeed(job["job_id"], result, events, decide, taken.name)))

    lineage.write(taken, settings.max_text_chars, work / lineage.FOLDER)
    parameters = Hyperparameters.from_request(job["request"], Hyperparameters.defaults(settings))
    _patiently(lambda: peers.check_mlflow(settings))
    pipeline.run(
        pipeline.Job(
            run_id=job["run_id"],
            job_id=job["job_id"],
            snapshot=taken,
            parameters=parameters,
            settings=settings,
            report=report,
            work=work,
            clock=clock,
            conclude=conclude,
        )
    )
    return ended[0]


def _snapshot(settings: Settings, work: Path, classifier: str) -> Snapshot:
    """The job's rows: those that it began with, when it was interrupted."""
    file = work / "snapshot.json"
    if not file.exists():
        taken = snapshot.read(settings.database_url, settings.max_text_chars, classifier, settings.new_class_rows, work)
        lineage.keep(taken, file)
        del taken  # its files are gone: what was kept is the same, in order
    return lineage.kept(file)


def _patiently(call: Callable[[], Any]) -> Any:
    """The result of `call`, tried again each second while a service is absent: the work of hours may hang on it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except (DatabaseUnavailable, MlflowUnavailable) as error:
            if time.monotonic() > deadline:
                raise
            log.warning("waiting: %s", error.message)
            time.sleep(1)


def _described(taken: Snapshot) -> dict[str, Any]:
    return {
        "name": taken.name,
        "digest": taken.digest,
        "watermark": taken.watermark,
        "labels": taken.label_names,
        "train_rows": len(taken.train),
        "test_rows": len(taken.test),
        "dropped": taken.dropped,
        "alike": taken.alike,
        "cut": taken.cut,
        "overlap": taken.overlap,
        "events": len(taken.event_ids),
    }


def _said(taken: Snapshot) -> str:
    left_out = ", ".join(f"{count} {reason}" for reason, count in taken.dropped.items())
    said = f"{len(taken.train):,} train and {len(taken.test):,} test rows of {taken.name}"
    return " ".join([said + (f"; left out: {left_out}" if left_out else ""), *taken.alike])


def _import_all() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    # MLflow looks through all that is installed when it writes its first model, and remembers it.
    requirements_utils.warn_dependency_requirement_mismatches(["mlflow"])


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGTERM, _stop)
    process.die_with_parent(signal.SIGTERM)
    with suppress(OSError):  # the first to go when memory is short
        Path("/proc/self/oom_score_adj").write_text("500")
    _import_all()
    words = sys.stdin.readline().split()
    if words:  # else the service is gone, and no job will come
        sys.exit(main(words[0], Settings.from_env(os.environ), float(words[1])))
