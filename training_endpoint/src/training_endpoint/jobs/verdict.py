"""The challenger against what the ledger names now: the verdict, and what it asks of the ledger."""

import json
from collections.abc import Sequence
from dataclasses import replace

import mlflow

from mlops_contract.words import Verdict
from training_endpoint.data.snapshot import Snapshot, left_out
from training_endpoint.jobs import label_errors, room
from training_endpoint.jobs.context import Challenger, Job, Outcome
from training_endpoint.jobs.course import sentence
from training_endpoint.jobs.label_errors import Found
from training_endpoint.judge import compare, evaluate, looks, plots
from training_endpoint.judge.checks import ChampionAnswers, checks
from training_endpoint.judge.compare import Decision
from training_endpoint.judge.looks import Looks
from training_endpoint.release import ledger, opponent, registry
from training_endpoint.release.ledger import Ruling
from training_endpoint.release.opponent import Opponent
from training_endpoint.shadow import choice


def judge(job: Job, challenger: Challenger, doubts: Sequence[Found] = ()) -> tuple[Outcome, Ruling]:
    """Compares with what the ledger names now; `doubts` are told beside the verdict, and decide nothing."""
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
            checks(job.snapshot, challenger.answers, _answers(champion), challenger.served, settings, known.replaced),
            found,
            metrics,
            champion_metrics,
            known,
            [name for name in job.snapshot.label_names if champion and name not in champion.label_names],
        )
        decision = _heeding(decision, champion, now, pinned, job.snapshot)
        shadow = choice.choose(settings, decision.verdict, challenger.answers, labels, champion, now, job.snapshot)
    version, served, course = challenger.voucher.version, challenger.served, challenger.course
    evidence = {**decision.evidence, "course": course, "rows": rows_kept, "served": served.evidence, **shadow.evidence}
    evidence["label_errors"] = [one.told for one in doubts]
    told = [decision.text, shadow.text, sentence(course), served.reason, label_errors.sentence(doubts)]
    decision = replace(decision, text="; ".join(filter(None, told)), evidence=evidence)
    decision = replace(decision, text=decision.sentence(job.snapshot.name, version))
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
        course=course,
    )
    with job.clock("deciding"):
        job.report(progress=0.98, message="deciding")
        if champion_metrics:
            mlflow.log_metrics({f"champion_{name}": value for name, value in champion_metrics.items()})
        room.for_artifacts(settings, job.report, 0, lambda: _log_verdict(job, challenger, champion, found, decision))
    evidence = {**decision.evidence, "challenger_version": version}
    return outcome, Ruling(now, pinned, after, str(decision.verdict), decision.text, evidence, shadow.begins)


def _heeding(
    decision: Decision, champion: Opponent | None, now: int | None, pinned: bool, snapshot: Snapshot
) -> Decision:
    """The verdict, with what else a person must know: whom it met, whether the version is pinned, and of the rows which
    were left out, and which classes are perhaps one."""
    verdict, text = decision.verdict, decision.text
    if champion is not None and champion.probabilities is not None and champion.version != now:
        text = f"{text}; compared with version {champion.version}, because {champion.trouble}"
    if pinned and verdict.moves_champion:
        verdict, text = Verdict.KEPT_PINNED, f"version {now} is pinned; without the pin: {verdict}, {text}"
    if any(snapshot.dropped.values()):
        text = f"{text}; {left_out(snapshot.dropped)}"
    text += "".join(f"; warning: {sentence.rstrip('.')}" for sentence in snapshot.alike)
    return replace(decision, verdict=verdict, text=text)


def _answers(champion: Opponent | None) -> ChampionAnswers | None:
    if champion is None:
        return None
    trouble = "" if champion.probabilities is not None else champion.trouble
    return ChampionAnswers(champion.version, champion.probabilities, champion.label_names, trouble)


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
        {"verdict": str(decision.verdict), "verdict_text": decision.text},
    )
