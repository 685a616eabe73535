"""From a snapshot to a registered version: load, train, evaluate, export, register."""

import json
import shutil
import time
from dataclasses import asdict, replace

import mlflow
import numpy as np

from mlops_contract.voucher import Voucher
from model_runner import machine
from training_endpoint.data import lineage
from training_endpoint.data.rows import Rows
from training_endpoint.jobs import room
from training_endpoint.jobs.context import Challenger, Job
from training_endpoint.jobs.course import Course, begin
from training_endpoint.judge import evaluate, export, plots, trial
from training_endpoint.judge.exported import Served
from training_endpoint.learn import classifier as classifiers
from training_endpoint.learn import device, distributed, trainer, warm
from training_endpoint.learn.classifier import BaseModel
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.release import registry, remembered, versions

MODEL = "model"  # the folder of what a version holds
CHALLENGER, ANSWERS = "challenger.json", "answers.npy"
# The share of a job's progress at which training begins and ends; the other phases are short.
TRAINING_FROM, TRAINING_TO = 0.05, 0.80
EVALUATING_FROM = 0.83


def kept(job: Job) -> Challenger | None:
    """What an interrupted attempt had already registered."""
    try:
        fields = json.loads((job.work / CHALLENGER).read_text())
        answers = np.load(job.work / ANSWERS)
    except (FileNotFoundError, ValueError):
        return None
    served = Served(**{**fields["served"], "folder": job.work / MODEL / "serving"})
    voucher = Voucher.from_dict(fields["voucher"])
    return Challenger(voucher, answers, served, fields["losses"], fields.get("course", {}))


def make(job: Job, mlflow_run: str) -> Challenger:
    """Trains, exports and registers."""
    snapshot, settings, report, clock = job.snapshot, job.settings, job.report, job.clock
    with clock("loading"):
        where, precision = device.prepare()
        processes = min(device.gpus() or 1, job.parameters.batch_size)
        trainer.seed_all(job.parameters.seed)  # the new head's weights are drawn now
        course, base, classifier = begin(job)
        parameters = course.parameters(job.parameters)
        without_onnx = trial.trial(classifier, snapshot.test.texts, job.work)
        by_torch = "; PyTorch is going to serve it" if without_onnx else ""
        rows = _drawn(course.rows(snapshot.train), parameters)
        before = warm.weights(classifier.model) if course.warm else {}
        computed_on = f"{processes} x {where.type} {precision}"
        _log_inputs(job, mlflow_run, rows, base, computed_on, parameters, course)

    with clock("training"):
        told = f"{course}; training on {len(rows):,} rows, {computed_on}{by_torch}"
        report(phase="training", progress=TRAINING_FROM, message=told)

        def say(step: trainer.Step) -> None:
            share = TRAINING_FROM + (TRAINING_TO - TRAINING_FROM) * step.progress
            live = {"loss": step.loss, "learning_rate": step.learning_rate, "samples_per_s": step.samples_per_s}
            report(
                progress=share,
                step=step.step,
                steps=step.steps,
                epoch=step.epoch,
                eta_s=step.eta_s,
                metrics=live,
                message=step.message or f"training {step.progress:.0%}, loss {step.loss:.3f}",
            )
            registry.log_metrics(settings, mlflow_run, live, step.step, int(time.time() * 1000))

        start = f"{snapshot.digest} {base.name} {base.revision} {course.new} {course.replayed}"
        if processes > 1:
            distributed.train(
                classifier,
                rows,
                parameters,
                job.work,
                processes=processes,
                precision=precision,
                fingerprint=start,
                say=say,
            )
        # After several processes: takes over their model, for no step is left to do.
        state = trainer.train(
            classifier, rows, parameters, job.work, device=where, precision=precision, fingerprint=start, say=say
        )

    with clock("exporting"):
        report(phase="exporting", progress=TRAINING_TO, message="exporting")
        classifier.model.to("cpu")
        if course.warm:
            warm.average(classifier.model, before)
        classifiers.round_weights(classifier)
        weights = classifiers.save_weights(classifier, job.work / MODEL / "model")
        folder = job.work / MODEL / "serving"
        told = f"evaluating what is served on {len(snapshot.test):,} test rows"
        served, answers = export.export(
            classifier,
            snapshot.test,
            snapshot.train.texts,
            folder,
            clock,
            without_onnx,
            evaluating=lambda: report(phase="evaluating", progress=EVALUATING_FROM, message=told),
            weights=weights,
        )
        metrics = evaluate.metrics(answers, job.labels)

    with clock("registering"):
        message = f"accuracy {metrics['accuracy']:.3f}, {served.reason}; registering"
        report(phase="registering", progress=0.91, metrics=metrics, message=message)
        mlflow.log_metrics(
            {f"test_{name}": value for name, value in metrics.items()}
            | {"computed_in_parts": state.parts, "peak_memory_mb": device.peak_memory_mb()}
        )
        plots.save(job.work / "loss.png", lambda: plots.losses(state.losses))
        _write_lineage(job, course, rows)
        size = registry.pack(classifier, job.work / MODEL)
        tags = _tags(job, metrics, served, course)
        voucher = room.for_artifacts(settings, report, size, lambda: _store(job, mlflow_run, tags, metrics))
        versions.record(settings, voucher, job.job_id)

    made = Challenger(voucher, answers, served, state.losses, course.told)
    _keep(job, made)
    return made


def _keep(job: Job, made: Challenger) -> None:
    """For an attempt that goes on from here, and for whoever is going to be compared with it."""
    np.save(job.work / ANSWERS, made.answers)
    told = {
        "voucher": made.voucher.as_dict(),
        "served": {**asdict(made.served), "folder": ""},
        "losses": made.losses,
        "course": made.course,
    }
    (job.work / CHALLENGER).write_text(json.dumps(told))
    versions.keep(job.settings, made.voucher, job.work / MODEL)
    remembered.note(job.settings, made.voucher, job.snapshot.test.texts, made.answers)


def _write_lineage(job: Job, course: Course, rows: Rows) -> None:
    """Adds the course to what the job has written, and puts all into the version as well.

    There training vouches for it, so later runs learn from it what is new.
    """
    folder = job.work / lineage.FOLDER
    if folder.is_dir():
        lineage.add_course(folder, course.told, rows if len(rows) < len(job.snapshot.train) else None)
        shutil.copytree(folder, job.work / MODEL / lineage.FOLDER, dirs_exist_ok=True)


def _store(job: Job, mlflow_run: str, tags: dict[str, str], metrics: dict[str, float]) -> Voucher:
    settings = job.settings
    if (job.work / "loss.png").exists():
        mlflow.log_artifact(str(job.work / "loss.png"))
    if (job.work / lineage.FOLDER).is_dir():
        mlflow.log_artifacts(str(job.work / lineage.FOLDER), lineage.FOLDER)
    return registry.register(
        settings,
        mlflow_run,
        job.work / MODEL,
        tags=tags,
        metrics=metrics,
        is_taken=lambda number: versions.find(settings, number) is not None,
        is_kept=lambda root: versions.has_root(settings, root),
    )


def _drawn(rows: Rows, parameters: Hyperparameters) -> Rows:
    """At most `max_rows` rows; the snapshot's order is as good as shuffled, so every n-th is an even draw."""
    if parameters.max_rows is None or parameters.max_rows >= len(rows):
        return rows
    picks = np.linspace(0, len(rows) - 1, parameters.max_rows).round().astype(int)
    return rows.pick(picks)


def _log_inputs(
    job: Job, mlflow_run: str, rows: Rows, base: BaseModel, where: str, parameters: Hyperparameters, course: Course
) -> None:
    """Everything that the run starts from."""
    snapshot = job.snapshot
    registry.log_parameters(
        mlflow_run,
        job.settings,
        {
            **parameters.as_dict(),
            "course": course,
            "base_model": base.name,
            "base_revision": base.revision,
            "device": where,
            "cores": machine.cores(),
            "dataset": snapshot.name,
            "dataset_digest": snapshot.digest,
            "watermark": snapshot.watermark,
            "events": len(snapshot.event_ids),
            "train_rows": len(rows),
            "test_rows": len(snapshot.test),
            "train_classes": registry.class_counts(rows, snapshot.label_names),
            "test_classes": registry.class_counts(snapshot.test, snapshot.label_names),
            "dropped": snapshot.dropped,
            "overlap": snapshot.overlap,
        },
    )
    registry.log_dataset(mlflow_run, job.settings, replace(snapshot, train=rows))


def _tags(job: Job, metrics: dict[str, float], served: Served, course: Course) -> dict[str, str]:
    return {
        "dataset": job.snapshot.name,
        "dataset_digest": job.snapshot.digest,
        "watermark": job.snapshot.watermark,
        "train_rows": str(len(job.snapshot.train)),
        "precision": served.precision,
        "served_form": served.reason,
        "job_id": job.job_id,
        "course": str(course),
        "chain": " ".join(map(str, course.chain)),
        **{name: f"{value:.4f}" for name, value in metrics.items()},
    }
