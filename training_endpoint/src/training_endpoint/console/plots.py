"""What is drawn over time. Whoever knows more of a classifier adds a function to `KINDS`; the page draws it."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from training_endpoint.console.traffic import Point, Traffic, quantile
from training_endpoint.data.classifiers import Classifier
from training_endpoint.monitor import report
from training_endpoint.settings import Settings

STEPS = 96
HOUR_S = 3600.0
Plot = dict[str, Any]
"""{"title", "unit", "note", "from", "to", "lines": [{"name", "points": [[at, value] or [at, value, low, high]]}]}:
times in seconds since 1970; a point without value is a gap."""
Kind = Callable[["Asked"], Plot]


class Asked:
    """Whose plots, and of which time."""

    def __init__(self, settings: Settings, traffic: Traffic, classifier: Classifier, hours: int) -> None:
        self.settings = settings
        self.classifier = classifier
        self.hours = hours
        self.until = time.time()
        self.since = self.until - hours * HOUR_S
        self.step = hours * HOUR_S / STEPS
        self.points = [one for one in list(traffic.points) if one.model == classifier.model and one.at >= self.since]

    def by_step(self) -> dict[float, list[Point]]:
        """The points of each step, by its middle; steps without any are there too."""
        steps: dict[float, list[Point]] = {self.since + (n + 0.5) * self.step: [] for n in range(STEPS)}
        moments = list(steps)
        for one in self.points:
            steps[moments[min(int((one.at - self.since) / self.step), STEPS - 1)]].append(one)
        return steps

    def plot(self, title: str, unit: str, note: str, lines: list[dict[str, Any]]) -> Plot:
        """With the frame that all plots share."""
        return {"title": title, "unit": unit, "note": note, "from": self.since, "to": self.until, "lines": lines}


def requests(asked: Asked) -> Plot:
    """Requests a minute, and those that failed or were refused."""
    minutes = asked.step / 60
    steps = asked.by_step()
    lines = [
        _line("answered", ((at, sum(one.requests for one in some) / minutes) for at, some in steps.items())),
        _line("failed or refused", ((at, sum(one.failed for one in some) / minutes) for at, some in steps.items())),
    ]
    return asked.plot("Requests", "a minute", "as the replicas count them", lines if asked.points else [])


def latency(asked: Asked) -> Plot:
    """Milliseconds within which half, and 95 of 100, were answered."""
    slots = {at: _slots(some) for at, some in asked.by_step().items()}
    lines = [
        _line(
            name,
            (
                (at, seconds * 1000 if (seconds := quantile(some, share)) is not None else None)
                for at, some in slots.items()
            ),
        )
        for name, share in (("half of them within", 0.5), ("95 % within", 0.95))
    ]
    return asked.plot("Latency", "ms", "in the replica, waiting included", lines if asked.points else [])


def accuracy(asked: Asked) -> Plot:
    """Estimated from the scores, with its interval, and true where feedback says so."""
    by = "hour" if asked.hours <= 48 else "day"
    days = max(1, asked.hours // 24)
    newest: dict[str, dict[str, Any]] = {}
    for window in report.windows(asked.settings.database_url, asked.classifier, by, days):
        known = newest.get(window["from"])
        if known is None or known["rows"] < window["rows"]:  # of two versions the one that was asked more
            newest[window["from"]] = window
    middle = HOUR_S / 2 if by == "hour" else 12 * HOUR_S
    found: dict[str, list[list[float]]] = {"estimated": [], "true": []}
    for moment, window in sorted(newest.items()):
        at = datetime.fromisoformat(moment).timestamp() + middle
        estimated = (window["estimated"] or {}).get("mean")
        for name, one in (("estimated", estimated), ("true", window["true"])):
            if one and asked.since <= at:
                found[name].append([min(at, asked.until), *(100 * one[part] for part in ("accuracy", "low", "high"))])
    lines = [{"name": name, "points": points} for name, points in found.items() if points]
    return asked.plot("Accuracy", "%", f"of each {by} of the log of predictions, with intervals of 95 %", lines)


KINDS: tuple[Kind, ...] = (requests, latency, accuracy)


def drawn(asked: Asked) -> list[Plot]:
    """All of them."""
    return [kind(asked) for kind in KINDS]


def _line(name: str, points: Iterable[tuple[float, float | None]]) -> dict[str, Any]:
    return {"name": name, "points": [[at, value] for at, value in points]}


def _slots(some: Iterable[Point]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in some:
        found.update(one.slots)
    return found
