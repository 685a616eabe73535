"""What the page shows of the database. Every query has a limit of rows and of time."""

from datetime import datetime
from typing import Any

from training_endpoint import database
from training_endpoint.data import classifiers
from training_endpoint.data.classifiers import Classifier
from training_endpoint.data.snapshot import left_out
from training_endpoint.jobs.queue import Jobs, view
from training_endpoint.release.desk import Desk
from training_endpoint.shadow import decisions

MOST_CLASSIFIERS = 200
MOST_JOBS = 60
"""Of the newest those that run or wait are shown, and ENDED others."""
ENDED = 5
MOST_CHANGES = 5_000
"""Of the events of each kind so many are counted; more are said to be more."""
PAGE = 20
"""Decisions at a time."""
JOB_FIELDS = (
    *("job_id", "run_id", "classifier", "status", "phase", "progress", "step", "steps", "epoch", "eta_s", "message"),
    *("place", "starts_in_s", "error", "model_version", "verdict", "verdict_text"),
    *("created_at", "started_at", "finished_at"),
)

Row = dict[str, Any]


def served(desk: Desk) -> list[Row]:
    """Of each classifier what is served since when and why, and whether all replicas do already."""
    url = desk.settings.database_url
    live = {one.name: one for one in classifiers.live(url)[:MOST_CLASSIFIERS]}
    followers = {name: desk.reconciler.of(one).state for name, one in live.items()}
    standing = decisions.all_standing(desk.settings, live.values())
    rows = _all(url, "console_classifiers", most=MOST_CLASSIFIERS)
    for row in rows:
        state, decision = followers.get(row["name"]), row["decision"]
        follows = state is not None and state.decision is not None and state.decision.id == decision
        row["everywhere"] = bool(state and follows and state.served)
        row["trouble"] = state.trouble if state else ""
        row["left_out"] = left_out(row["left_out"] or {})
        found = standing.get(row["name"])
        row["shadow"] = found["text"] if found else None
    return rows


def jobs(desk: Desk) -> list[Row]:
    """Those that run or wait, in their order, then the newest that have ended."""
    found = [view(job) for job in Jobs(desk.settings.database_url).newest(MOST_JOBS)]
    at_work = [job for job in found if job["status"] in ("running", "queued")]
    at_work.sort(key=lambda job: (job["status"] != "running", job["created_at"]))
    ended = [job for job in found if job["status"] not in ("running", "queued")][:ENDED]
    return [{name: job.get(name) for name in JOB_FIELDS} for job in at_work + ended]


def rows(url: str, classifier: Classifier) -> Row:
    """What becomes of the changes of its tables, with reasons."""
    mine = {"name": classifier.name, "most": MOST_CHANGES}
    uncovered = _all(url, "console_rows", most=MOST_CHANGES)
    (covered,) = _all(url, "console_covered", **mine)
    feedback = _all(url, "console_feedback", most=MOST_CHANGES)
    of_none = _all(url, "console_of_none")
    return {
        "uncovered": [row for row in uncovered if row["classifier"] == classifier.name],
        "covered": covered,
        "feedback": sum(row["notes"] for row in feedback if row["classifier"] == classifier.name),
        "of_none": of_none[0] if of_none else None,
        "most": MOST_CHANGES,
    }


def ledger(url: str, classifier: Classifier, before: int) -> Row:
    """{"decisions", "more"}: those before the decision `before`, newest first."""
    found = _all(url, "console_ledger", model=classifier.model, before=before, most=PAGE + 1)
    return {"decisions": found[:PAGE], "more": len(found) > PAGE}


def _all(url: str, query: str, **given: Any) -> list[Row]:
    with database.connect(url) as connection:
        connection.execute(database.query("console_limit"))
        found = connection.execute(database.query(query), given).fetchall()
    return [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        for row in found
    ]
