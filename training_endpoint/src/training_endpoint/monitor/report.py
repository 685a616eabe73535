"""How a classifier does, by hour or by day, and whether that is a reason for an alarm."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add
from typing import Any

from training_endpoint import database
from training_endpoint.data.classifiers import Classifier
from training_endpoint.monitor import hours, reference
from training_endpoint.monitor.estimate import Estimate, Reference, Summary, atc, both, cbpe, counted, drift, least_loss
from training_endpoint.monitor.hours import Hour
from training_endpoint.release import ledger

KINDS = ("accuracy", "drift")
LEAST_ROWS = 200
"""In a window that may raise an alarm."""
LOOKED_BACK = timedelta(hours=24)
LOOKS, WANTED = 4, 3
"""An alarm is when so many of the last looks, an hour apart, each at a day, find the same."""
DRIFT_LEVEL = 0.001
DRIFT_DISTANCE = 0.1
"""What is smaller is there in all traffic, and says nothing."""


@dataclass(frozen=True)
class Alarm:
    """`kind` is one of `KINDS`; `text` is a sentence for people."""

    kind: str
    version: int
    text: str


def windows(url: str, classifier: Classifier, by: str, days: int) -> list[dict[str, Any]]:
    """Of each hour or day (UTC) and version what the log and feedback tell, the oldest first."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=days)
    start = start.replace(hour=0) if by == "day" else start
    with database.connect(url) as connection:
        found = hours.since(connection, classifier, start)
        known = hours.labelled(connection, classifier, start)
        tested = {one: reference.find(connection, classifier.model, one) for one in {hour.version for hour in found}}
    grouped: dict[tuple[datetime, int], list[Hour]] = defaultdict(list)
    for hour in found:
        grouped[_begin(hour.hour, by), hour.version].append(hour)
    labels: dict[tuple[datetime, int], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (moment, version), (total, right) in known.items():
        place = _begin(moment, by), version
        labels[place] = labels[place][0] + total, labels[place][1] + right
    return [
        _window(moment, version, members, tested[version], labels[moment, version])
        for (moment, version), members in sorted(grouped.items())
    ]


def alarms(url: str, classifier: Classifier, loss: float) -> list[Alarm]:
    """What is wrong now with the version that answers: an accuracy surely below that on test rows by `loss`, drift."""
    newest = ledger.newest(url, classifier.model)
    champion = newest.to_version if newest else None
    if champion is None:
        return []
    now = datetime.now(UTC)
    with database.connect(url) as connection:
        found = hours.since(connection, classifier, now - LOOKED_BACK - timedelta(hours=LOOKS + 1))
        own = [hour for hour in found if hour.version == champion]
        tested = reference.find(connection, classifier.model, champion) if own else None
    return [] if tested is None else judge(own, tested, loss)


def judge(known: list[Hour], tested: Reference, loss: float) -> list[Alarm]:
    """The alarms of one version, given its hours, the oldest first."""
    looks: list[dict[str, str]] = []
    for last in known[-LOOKS:]:
        day = [hour for hour in known if last.hour - LOOKED_BACK < hour.hour <= last.hour]
        looks.append(_look(_sum(day), tested, loss))
    return [
        Alarm(kind, known[-1].version, looks[-1][kind])
        for kind in KINDS
        if sum(kind in look for look in looks) >= WANTED and kind in looks[-1]
    ]


def _look(window: Summary, tested: Reference, loss: float) -> dict[str, str]:
    """By kind what is wrong with a window."""
    if window.rows < LEAST_ROWS:
        return {}
    wrong = {}
    if least_loss(window, tested) > loss:
        wrong["accuracy"] = (
            f"answers of the last {LOOKED_BACK.total_seconds() / 3600:.0f} hours are right in an estimated "
            f"{_percent(both(window, tested))}, on its test rows {tested.accuracy:.1%} were"
        )
    tests = drift(window, tested)
    far = {
        name: one
        for name, one in tests.items()
        if one.p_value * len(tests) < DRIFT_LEVEL and one.distance >= DRIFT_DISTANCE
    }
    if far:
        said = ", ".join(f"{name} ({one.distance:.2f})" for name, one in far.items())
        wrong["drift"] = f"what is asked is unlike its test rows, by {said}"
    return wrong


def _window(
    moment: datetime, version: int, members: list[Hour], tested: Reference | None, labels: tuple[int, int]
) -> dict[str, Any]:
    summary = _sum(members)
    told: dict[str, Any] = {
        "from": moment.isoformat(),
        "version": version,
        "rows": sum(hour.rows for hour in members),
        "classes": summary.classes,
        "estimated": None,
        "true": None,
        "drift": None,
    }
    if tested is not None:
        told["estimated"] = {
            name: asdict(one(summary, tested)) for name, one in (("mean", both), ("cbpe", cbpe), ("atc", atc))
        }
        told["drift"] = {name: asdict(one) for name, one in drift(summary, tested).items()}
    if labels[0]:
        told["true"] = {**asdict(counted(labels[1], labels[0])), "labels": labels[0]}
    return told


def _sum(members: Iterable[Hour]) -> Summary:
    return reduce(add, (hour.summary for hour in members))


def _begin(moment: datetime, by: str) -> datetime:
    moment = moment.astimezone(UTC)
    return moment.replace(hour=0) if by == "day" else moment


def _percent(found: Estimate) -> str:
    return f"{found.accuracy:.1%} ({found.low:.1%} to {found.high:.1%})"
