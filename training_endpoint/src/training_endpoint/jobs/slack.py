"""The message that people get in Slack when a job has ended."""

from typing import Any

from mlops_contract.words import JobStatus, Verdict
from training_endpoint.jobs.queue import Job
from training_endpoint.release import peers
from training_endpoint.settings import Settings

HEADLINES = {
    Verdict.FIRST_CHAMPION: ":trophy: First Champion",
    Verdict.PROMOTED: ":rocket: Promoted",
    Verdict.KEPT_NO_DIFFERENCE: ":scales: Champion kept: no real difference",
    Verdict.KEPT_WORSE: ":shield: Champion kept: the challenger is worse",
    Verdict.KEPT_FAILED_CHECK: ":no_entry: Champion kept: the challenger failed a check",
    Verdict.KEPT_PINNED: ":pushpin: Champion kept: a person holds it",
}


def announce(settings: Settings, job: Job) -> None:
    """Posts the end of `job` to SLACK_URL when that is set. Never raises: a job does not fail for its message."""
    if worth_telling(job):
        peers.say_in_slack(settings, text(settings, job))


def worth_telling(job: Job) -> bool:
    """Who cancelled a job knows of its end, and one that had nothing to do changed nothing: neither is news."""
    return job["status"] == JobStatus.FAILED or bool(job["verdict"])


def text(settings: Settings, job: Job) -> str:
    """The message: verdict, both metrics, rows, duration, link to the run; or what went wrong."""
    detail = job["detail"]
    lines = [f"*{settings.model_name}* – {_headline(job)}"]
    sentence = job["error"] if job["status"] == "failed" else detail.get("verdict_text")
    if sentence:
        lines.append(str(sentence))
    metric = settings.promotion_metric
    challenger = (detail.get("metrics") or {}).get(metric)
    champion = (detail.get("champion_metrics") or {}).get(metric)
    if challenger is not None:
        against = "there was no Champion" if champion is None else f"Champion {champion:.4f}"
        lines.append(f"{metric}: challenger {challenger:.4f}, {against}")
    dataset = detail.get("dataset")
    if dataset:
        lines.append(f"Rows of {dataset['name']}: {dataset['train_rows']:,} train, {dataset['test_rows']:,} test")
    if job["started_at"] and job["finished_at"]:
        lines.append(f"Duration: {_duration((job['finished_at'] - job['started_at']).total_seconds())}")
    lines.append(_link(settings, job))
    return "\n".join(lines)


def _headline(job: Job) -> str:
    if job["status"] == "failed":
        return ":x: Training failed"
    verdict = HEADLINES[Verdict(job["verdict"])]
    return f"{verdict} (version {job['model_version']})"


def _link(settings: Settings, job: Job) -> str:
    run: Any = job["mlflow_run_id"]
    if not run:
        return f"Job {job['job_id']} (run {job['run_id']})"
    return f"<{settings.mlflow_public_url}/#/runs/{run}|Run {run} in MLflow>"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
