"""What a job does, in the order in which it does it: load, train, evaluate, export, register, compare, decide."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException

from mlops_contract.voucher import Voucher
from mlops_contract.words import Verdict
from model_runner import machine
from training_endpoint.clock import Clock
from training_endpoint.data import lineage
from training_endpoint.data.snapshot import Rows, Snapshot, left_out
from training_endpoint.errors import ChampionChanged, JobEnded
from training_endpoint.jobs.report import Report
from training_endpoint.judge import compare, evaluate, export, looks, plots
from training_endpoint.judge.checks import ChampionAnswers, checks
from training_endpoint.judge.compare import Decision
from training_endpoint.judge.evaluate import Labels, Probabilities
from training_endpoint.judge.exported import Served
from training_endpoint.judge.looks import Looks
from training_endpoint.learn import device, distributed, trainer
from training_endpoint.learn.classifier import BaseModel, Classifier, find_base
from training_endpoint.learn.classifier import load as load_base
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.release import ledger, opponent, peers, registry, versions
from training_endpoint.release.ledger import Ruling
from training_endpoint.release.opponent import Opponent
from training_endpoint.settings import Settings

MODEL = "model"  # the folder of what a version holds
CHALLENGER, ANSWERS = "challenger.json", "answers.npy"
TAG_CHARS = 5000  # as many as MLflow keeps
# The share of a job's progress at which training begins and ends; the other phases are short.
TRAINING_FROM, TRAINING_TO = 0.05, 0.80


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


def run(job: Job) -> Outcome:
    """Trains one model on the job's snapshot, registers it, judges it, and concludes the job."""
    status = "FAILED"
    try:
        with job.clock("loading"):
            job.report(phase="starting", progress=0.0, message="loading the base model")
            mlflow_run = registry.start_run(job.settings, job.run_id, job.job_id)
            job.report(mlflow_run_id=mlflow_run)
        challenger = _kept(job) or _make(job, mlflow_run)
        while True:
            outcome, ruling = _judge(job, challenger)
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


def _kept(job: Job) -> Challenger | None:
    """What an interrupted attempt had already registered."""
    try:
        fields = json.loads((job.work / CHALLENGER).read_text())
        answers = np.load(job.work / ANSWERS)
    except (FileNotFoundError, ValueError):
        return None
    served = Served(**{**fields["served"], "folder": job.work / MODEL / "serving"})
    return Challenger(Voucher.from_dict(fields["voucher"]), answers, served, fields["losses"])


def _make(job: Job, mlflow_run: str) -> Challenger:
    """Trains, exports and registers."""
    snapshot, parameters, settings, report, clock = job.snapshot, job.parameters, job.settings, job.report, job.clock
    with clock("loading"):
        where, precision = device.prepare()
        processes = min(device.gpus() or 1, parameters.batch_size)
        trainer.seed_all(parameters.seed)  # the new head's weights are drawn now
        base, classifier = _start(job)
        rows = _drawn(snapshot.train, parameters)
        computed_on = f"{processes} x {where.type} {precision}"
        _log_inputs(job, mlflow_run, rows, base, computed_on)

    with clock("training"):
        report(phase="training", progress=TRAINING_FROM, message=f"training on {len(rows):,} rows, {computed_on}")

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

        start = f"{snapshot.digest} {base.name} {base.revision}"
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
        message = f"exporting, and evaluating what is served on {len(snapshot.test):,} test rows"
        report(phase="exporting", progress=TRAINING_TO, message=message)
        classifier.model.to("cpu")
        folder = job.work / MODEL / "serving"
        served, answers = export.export(classifier, snapshot.test, snapshot.train.texts, folder, clock)
        metrics = evaluate.metrics(answers, job.labels)

    with clock("registering"):
        message = f"accuracy {metrics['accuracy']:.3f}, {served.reason}; registering"
        report(phase="registering", progress=0.91, metrics=metrics, message=message)
        mlflow.log_metrics(
            {f"test_{name}": value for name, value in metrics.items()}
            | {"computed_in_parts": state.parts, "peak_memory_mb": device.peak_memory_mb()}
        )
        plots.save(job.work / "loss.png", lambda: plots.losses(state.losses))
        if (job.work / "loss.png").exists():
            mlflow.log_artifact(str(job.work / "loss.png"))
        if (job.work / lineage.FOLDER).is_dir():
            mlflow.log_artifacts(str(job.work / lineage.FOLDER), lineage.FOLDER)
        voucher = registry.register(
            settings,
            mlflow_run,
            classifier,
            job.work / MODEL,
            tags=_tags(job, metrics, served),
            metrics=metrics,
            is_taken=lambda number: versions.find(settings, number) is not None,
        )
        versions.record(settings, voucher, job.job_id)

    np.save(job.work / ANSWERS, answers)
    kept = {
        "voucher": voucher.as_dict(),
        "served": {**asdict(served), "folder": ""},
        "losses": state.losses,
    }
    (job.work / CHALLENGER).write_text(json.dumps(kept))
    return Challenger(voucher, answers, served, state.losses)


def _judge(job: Job, challenger: Challenger) -> tuple[Outcome, Ruling]:
    """Compares with what the ledger names now."""
    settings, labels = job.settings, job.labels
    metrics = challenger.voucher.metrics
    job.report(phase="comparing", progress=0.95, metrics=metrics, message="comparing with the Champion")
    newest = ledger.newest(settings.database_url, settings.model_name)
    now, pinned = (newest.to_version, newest.pinned) if newest else (None, False)
    with job.clock("comparing"):
        champion = opponent.answers(settings, job.snapshot.test.texts, job.snapshot.label_names)
        champion_metrics = found = None
        known, rows_kept = Looks(), looks.sketches(job.snapshot)
        if champion is not None and champion.probabilities is not None:
            champion_metrics = evaluate.metrics(champion.probabilities, labels)
            known = ledger.looks(settings.database_url, settings.model_name, rows_kept, champion.version)
            found = compare.difference(
                challenger.answers,
                champion.probabilities,
                labels,
                job.snapshot.label_names,
                settings.promotion_metric,
                compare.level(settings.promotion_policy, settings.significance, known),
            )
        decision = compare.decide(
            settings.promotion_policy,
            settings.significance,
            checks(job.snapshot, challenger.answers, _answers(champion), challenger.served, settings),
            found,
            metrics,
            champion_metrics,
            known,
        )
        decision = _heeding(decision, champion, now, pinned, job.snapshot.dropped)
    version, served = challenger.voucher.version, challenger.served
    evidence = {**decision.evidence, "rows": rows_kept, "served": served.evidence}
    decision = replace(decision, text=f"{decision.text}; {served.reason}", evidence=evidence)
    decision = replace(decision, text=decision.sentence(version))
    after = version if decision.verdict.moves_champion else now
    outcome = Outcome(
        verdict=decision.verdict,
        verdict_text=decision.text,
        mlflow_run_id=challenger.voucher.run_id,
        model_version=version,
        champion_version=after,
        metrics=metrics,
        champion_metrics=champion_metrics,
        evidence=decision.evidence,
        timings=job.clock.seconds,
    )
    with job.clock("deciding"):
        job.report(progress=0.98, message="deciding")
        if champion_metrics:
            mlflow.log_metrics({f"champion_{name}": value for name, value in champion_metrics.items()})
        _log_verdict(job, challenger, champion, found, decision)
    evidence = {**decision.evidence, "challenger_version": version}
    return outcome, Ruling(now, pinned, after, str(decision.verdict), decision.text, evidence)


def _heeding(
    decision: Decision, champion: Opponent | None, now: int | None, pinned: bool, dropped: dict[str, int]
) -> Decision:
    """The verdict, with what else a person must know: whom it met, whether the version is pinned, rows left out."""
    verdict, text = decision.verdict, decision.text
    if champion is not None and champion.probabilities is not None and champion.version != now:
        text = f"{text}; compared with version {champion.version}, because {champion.trouble}"
    if pinned and verdict.moves_champion:
        verdict, text = Verdict.KEPT_PINNED, f"version {now} is pinned; without the pin: {verdict}, {text}"
    if any(dropped.values()):
        text = f"{text}; {left_out(dropped)}"
    return replace(decision, verdict=verdict, text=text)


def _answers(champion: Opponent | None) -> ChampionAnswers | None:
    if champion is None:
        return None
    trouble = "" if champion.probabilities is not None else champion.trouble
    return ChampionAnswers(champion.version, champion.probabilities, champion.label_names, trouble)


def _start(job: Job) -> tuple[BaseModel, Classifier]:
    """Where training starts from: the base model, or the Champion where one with the same labels is there."""
    parameters, settings = job.parameters, job.settings
    if parameters.start_from == "champion":
        found = opponent.classifier(settings, parameters.max_length)
        if found is not None:
            version, classifier = found
            if classifier.label_names == job.snapshot.label_names:
                return BaseModel(f"{settings.model_name} version {version}", Path(), str(version)), classifier
        why = "there is no Champion yet" if found is None else "the Champion has other labels"
        job.report(message=f"{why}: starting from the base model")
    base = find_base(parameters.base_model, settings.huggingface_token)
    return base, load_base(base, job.snapshot.label_names, parameters.max_length)


def _drawn(rows: Rows, parameters: Hyperparameters) -> Rows:
    """At most `max_rows` rows; the snapshot's order is as good as shuffled, so every n-th is an even draw."""
    if parameters.max_rows is None or parameters.max_rows >= len(rows):
        return rows
    picks = np.linspace(0, len(rows) - 1, parameters.max_rows).round().astype(int)
    return Rows([rows.texts[index] for index in picks], [rows.labels[index] for index in picks])


def _log_inputs(job: Job, mlflow_run: str, rows: Rows, base: BaseModel, where: str) -> None:
    """Everything that the run starts from."""
    snapshot = job.snapshot
    registry.log_parameters(
        mlflow_run,
        job.settings,
        {
            **job.parameters.as_dict(),
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
    registry.log_dataset(replace(snapshot, train=rows))


def _log_verdict(
    job: Job,
    challenger: Challenger,
    champion: Opponent | None,
    found: compare.Difference | None,
    decision: Decision,
) -> None:
    """The verdict with its pictures, for the version and for the run."""
    labels, names = job.labels, job.snapshot.label_names
    predicted = {"challenger": challenger.answers.argmax(axis=1)}
    if champion is not None and champion.probabilities is not None:
        predicted = {f"Champion (version {champion.version})": champion.probabilities.argmax(axis=1)} | predicted
    matrices = {name: evaluate.confusion(classes, labels, len(names)) for name, classes in predicted.items()}
    per_class = evaluate.per_class(predicted["challenger"], labels, names)
    folder = job.work / "verdict"
    folder.mkdir(exist_ok=True)
    evidence = {**decision.evidence, "verdict": str(decision.verdict), "text": decision.text}
    (folder / "verdict.json").write_text(json.dumps({**evidence, "per_class": per_class}, indent=1))
    changes = found.per_class if found else {}
    plots.save(folder / "comparison.png", lambda: plots.comparison(matrices, changes, names))
    mlflow.log_artifacts(str(folder), folder.name)
    registry.describe(
        job.settings,
        challenger.voucher,
        folder,
        {"verdict": str(decision.verdict), "verdict_text": decision.text[:TAG_CHARS]},
    )


def _tags(job: Job, metrics: dict[str, float], served: Served) -> dict[str, str]:
    return {
        "dataset": job.snapshot.name,
        "dataset_digest": job.snapshot.digest,
        "watermark": job.snapshot.watermark,
        "train_rows": str(len(job.snapshot.train)),
        "precision": served.precision,
        "served_form": served.reason[:TAG_CHARS],
        "job_id": job.job_id,
        **{name: f"{value:.4f}" for name, value in metrics.items()},
    }
