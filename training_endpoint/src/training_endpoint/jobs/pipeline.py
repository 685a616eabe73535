"""What a job does, in the order in which it does it: load, train, evaluate, export, compare, register, decide."""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException

from mlops_contract.words import Verdict
from model_runner import machine
from training_endpoint.clock import Clock
from training_endpoint.data import lineage
from training_endpoint.data.snapshot import Rows, Snapshot
from training_endpoint.errors import JobEnded
from training_endpoint.jobs.report import Report
from training_endpoint.judge import compare, evaluate, export, plots
from training_endpoint.judge.checks import ChampionAnswers, checks
from training_endpoint.judge.compare import Decision
from training_endpoint.judge.evaluate import Labels, Probabilities
from training_endpoint.judge.served import Served
from training_endpoint.learn import device, distributed, trainer
from training_endpoint.learn.classifier import BaseModel, Classifier, find_base
from training_endpoint.learn.classifier import load as load_base
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.release import ledger, peers, registry
from training_endpoint.settings import Settings

JUDGED = "judged.json"
MODEL = "model"  # the folder of what a version holds beside MLflow's flavor: serving/ and verdict/
# The share of a job's progress at which training begins and ends; the other phases are short.
TRAINING_FROM, TRAINING_TO = 0.05, 0.80


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


class ChampionChanged(Exception):
    """Somebody moved the alias since the comparison."""


def run(
    run_id: str,
    job_id: str,
    snapshot: Snapshot,
    parameters: Hyperparameters,
    settings: Settings,
    report: Report,
    work: Path,
    clock: Clock,
) -> Outcome:
    """Trains and judges one model on `snapshot`. Checkpoints go to `work`, and are resumed from there."""
    status = "FAILED"
    try:
        with clock("loading"):
            report(phase="starting", progress=0.0, message="loading the base model")
            mlflow_run = registry.start_run(settings, run_id, job_id)
            report(mlflow_run_id=mlflow_run)
        outcome = _judged(work)
        while True:
            if outcome is None:
                outcome = _run(job_id, mlflow_run, snapshot, parameters, settings, report, work, clock)
                (work / JUDGED).write_text(json.dumps(asdict(outcome)))
            try:
                with clock("deciding"):
                    outcome = _decide(settings, outcome, job_id)
                break
            except ChampionChanged:
                report(message="the Champion has changed since the comparison: comparing again")
                outcome = None
        report(progress=1.0, message=f"{outcome.verdict}: {outcome.verdict_text}")
        status = "FINISHED"
        return outcome
    except MlflowException:
        peers.check_mlflow(settings)  # says so when it is away
        raise
    except (SystemExit, JobEnded):
        status = "KILLED"
        raise
    finally:
        with suppress(MlflowException):
            mlflow.end_run(status)


def _judged(work: Path) -> Outcome | None:
    """What an interrupted attempt had already judged."""
    try:
        fields = json.loads((work / JUDGED).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return Outcome(**{**fields, "verdict": Verdict(fields["verdict"])})


def _run(
    job_id: str,
    mlflow_run: str,
    snapshot: Snapshot,
    parameters: Hyperparameters,
    settings: Settings,
    report: Report,
    work: Path,
    clock: Clock,
) -> Outcome:
    labels: Labels = np.asarray(snapshot.test.labels, np.int64)

    with clock("loading"):
        where, precision = device.prepare()
        processes = min(device.gpus() or 1, parameters.batch_size)
        trainer.seed_all(parameters.seed)  # the new head's weights are drawn now
        base, classifier = _start(snapshot, parameters, settings, report)
        rows = _drawn(snapshot.train, parameters)
        computed_on = f"{processes} x {where.type} {precision}"
        _log_inputs(mlflow_run, snapshot, rows, parameters, settings, base, computed_on)

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
                work,
                processes=processes,
                precision=precision,
                fingerprint=start,
                say=say,
            )
        # After several processes: takes over their model, for no step is left to do.
        state = trainer.train(
            classifier, rows, parameters, work, device=where, precision=precision, fingerprint=start, say=say
        )

    with clock("exporting"):
        message = f"exporting, and evaluating what is served on {len(snapshot.test):,} test rows"
        report(phase="exporting", progress=TRAINING_TO, message=message)
        classifier.model.to("cpu")
        served = export.export(classifier, snapshot.test, snapshot.train.texts, work / MODEL / "serving", clock)
        answers, metrics = served.answers, evaluate.metrics(served.answers, labels)

    message = f"accuracy {metrics['accuracy']:.3f}, {served.reason}; comparing with the Champion"
    report(phase="comparing", progress=0.91, metrics=metrics, message=message)
    champion = registry.champion_answers(settings, snapshot, parameters.max_length, where, clock)
    with clock("comparing"):
        champion_metrics = found = None
        if champion is not None and champion.probabilities is not None:
            champion_metrics = evaluate.metrics(champion.probabilities, labels)
            found = compare.difference(
                answers,
                champion.probabilities,
                labels,
                snapshot.label_names,
                settings.promotion_metric,
                settings.significance,
            )
        decision = compare.decide(
            settings.promotion_policy,
            settings.significance,
            checks(snapshot, answers, champion, served, settings),
            found,
            metrics,
            champion_metrics,
        )

    with clock("registering"):
        report(phase="registering", progress=0.94, message="registering")
        decision = replace(decision, text=f"{decision.text}; {served.reason}")
        evidence = {
            **decision.evidence,
            "verdict": str(decision.verdict),
            "text": decision.text,
            "served": served.evidence,
        }
        mlflow.log_metrics(
            {f"test_{name}": value for name, value in metrics.items()}
            | {f"champion_{name}": value for name, value in (champion_metrics or {}).items()}
            | {"computed_in_parts": state.parts, "peak_memory_mb": device.peak_memory_mb()}
        )
        _log_results(snapshot, work, state.losses, answers, champion, found, evidence)
        version = registry.register(
            settings, mlflow_run, classifier, work / MODEL, _tags(snapshot, decision, metrics, served, job_id)
        )

    return Outcome(
        verdict=decision.verdict,
        verdict_text=decision.text,
        mlflow_run_id=mlflow_run,
        model_version=version,
        champion_version=champion.version if champion else None,
        metrics=metrics,
        champion_metrics=champion_metrics,
        evidence=evidence,
        timings=clock.seconds,
    )


def _start(
    snapshot: Snapshot, parameters: Hyperparameters, settings: Settings, report: Report
) -> tuple[BaseModel, Classifier]:
    """Where training starts from: the base model, or the Champion where one with the same labels is there."""
    if parameters.start_from == "champion":
        version = registry.champion(settings)
        if version is not None:
            classifier = registry.load(settings, version, parameters.max_length)
            if classifier.label_names == snapshot.label_names:
                name = f"{settings.model_name} version {version.version}"
                return BaseModel(name, Path(), str(version.version)), classifier
        why = "there is no Champion yet" if version is None else "the Champion has other labels"
        report(message=f"{why}: starting from the base model")
    base = find_base(parameters.base_model, settings.huggingface_token)
    return base, load_base(base, snapshot.label_names, parameters.max_length)


def _drawn(rows: Rows, parameters: Hyperparameters) -> Rows:
    """At most `max_rows` rows; the snapshot's order is as good as shuffled, so every n-th is an even draw."""
    if parameters.max_rows is None or parameters.max_rows >= len(rows):
        return rows
    picks = np.linspace(0, len(rows) - 1, parameters.max_rows).round().astype(int)
    return Rows([rows.texts[index] for index in picks], [rows.labels[index] for index in picks])


def _log_inputs(
    mlflow_run: str,
    snapshot: Snapshot,
    rows: Rows,
    parameters: Hyperparameters,
    settings: Settings,
    base: BaseModel,
    where: str,
) -> None:
    """Everything that the run starts from."""
    registry.log_parameters(
        mlflow_run,
        settings,
        {
            **parameters.as_dict(),
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


def _log_results(
    snapshot: Snapshot,
    work: Path,
    losses: list[float],
    answers: Probabilities,
    champion: ChampionAnswers | None,
    found: compare.Difference | None,
    evidence: dict[str, Any],
) -> None:
    """The verdict with its pictures, for the version and for the run, and the lineage."""
    labels: Labels = np.asarray(snapshot.test.labels, np.int64)
    predicted = {"challenger": answers.argmax(axis=1)}
    if champion is not None and champion.probabilities is not None:
        predicted = {f"Champion (version {champion.version})": champion.probabilities.argmax(axis=1)} | predicted
    matrices = {
        name: evaluate.confusion(classes, labels, len(snapshot.label_names)) for name, classes in predicted.items()
    }
    per_class = evaluate.per_class(predicted["challenger"], labels, snapshot.label_names)
    folder = work / MODEL / "verdict"
    folder.mkdir(exist_ok=True)
    (folder / "verdict.json").write_text(json.dumps({**evidence, "per_class": per_class}, indent=1))
    plots.comparison(matrices, found.per_class if found else {}, snapshot.label_names).savefig(
        folder / "comparison.png"
    )
    mlflow.log_artifacts(str(folder), folder.name)
    mlflow.log_figure(plots.losses(losses), "loss.png")
    if (work / lineage.FOLDER).is_dir():
        mlflow.log_artifacts(str(work / lineage.FOLDER), lineage.FOLDER)


def _tags(
    snapshot: Snapshot, decision: Decision, metrics: dict[str, float], served: Served, job_id: str
) -> dict[str, str]:
    return {
        "verdict": str(decision.verdict),
        "verdict_text": decision.text[:1000],
        "dataset": snapshot.name,
        "dataset_digest": snapshot.digest,
        "watermark": snapshot.watermark,
        "train_rows": str(len(snapshot.train)),
        "precision": served.precision,
        "served_form": served.reason[:1000],
        "job_id": job_id,
        **{name: f"{value:.4f}" for name, value in metrics.items()},
    }


def _decide(settings: Settings, outcome: Outcome, job_id: str) -> Outcome:
    """Moves the alias, or records that it stays; the same outcome with the Champion as it is then.

    An attempt that was interrupted here has decided: what it recorded is done, unless somebody decided after it.
    Raises `ChampionChanged` when the Champion is no longer the one that was compared with.
    """
    moves = outcome.verdict.moves_champion
    after = outcome.model_version if moves else outcome.champion_version
    with ledger.alone(settings.database_url):
        decided = ledger.of_job(settings.database_url, job_id)
        if decided is not None:
            if moves and decided["newest"]:
                registry.set_alias(settings, outcome.model_version)
            return replace(outcome, champion_version=after)
        now = registry.champion(settings)
        if (int(now.version) if now else None) != outcome.champion_version:
            raise ChampionChanged
        decision: dict[str, Any] = {
            "who": "training",
            "verdict": str(outcome.verdict),
            "reason": outcome.verdict_text,
            "evidence": {**outcome.evidence, "challenger_version": outcome.model_version},
            "job_id": job_id,
        }
        if moves:
            registry.move_alias(settings, outcome.model_version, **decision)
        else:
            ledger.record(
                settings.database_url,
                model_name=settings.model_name,
                from_version=outcome.champion_version,
                to_version=outcome.champion_version,
                **decision,
            )
    return replace(outcome, champion_version=after)
