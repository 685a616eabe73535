"""Quiet days, and days on which a version gets worse, as the monitor sees them: simulated, by the hour."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from training_endpoint.monitor import estimate, report
from training_endpoint.monitor.estimate import Answered, Numbers, Reference, Summary
from training_endpoint.monitor.hours import Hour

NAMES = ["bad", "good"]
START = datetime(2026, 1, 1, tzinfo=UTC)
SKILL, WORSE = 4, 2.6
"""How far apart the two classes are, before and after."""
ROWS = (20, 100)
SEEDS = 10


def answers(rng: np.random.Generator, rows: int, skill: float, sure: float = 1) -> tuple[Numbers, NDArray[np.int64]]:
    """Probabilities of a two-class model, and true labels. `sure` above 1: it says more than it knows."""
    logits = rng.normal(0, skill, rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    good = 1 / (1 + np.exp(-logits * sure))
    return np.stack([1 - good, good], axis=1).round(6), labels


def of_tests(rng: np.random.Generator, rows: int = 1000, skill: float = 4, sure: float = 2) -> Reference:
    """What a version answers on its test rows; it says twice as much as it knows."""
    probabilities, labels = answers(rng, rows, skill, sure)
    return estimate.reference(Answered(probabilities, labels), NAMES, ["x" * 50] * rows)


def window(
    rng: np.random.Generator, known: Reference, rows: int, skill: float = 4, sure: float = 2
) -> tuple[Summary, float]:
    """Its summary, and its true accuracy."""
    probabilities, labels = answers(rng, rows, skill, sure)
    found = probabilities.argmax(axis=1)
    sure_of = estimate.confidences(probabilities, known.calibration)
    summary = estimate.summarise(sure_of, [50] * rows, [NAMES[index] for index in found], known.threshold)
    return summary, float((found == labels).mean())


def days(
    rng: np.random.Generator, known: Reference, count: int, rows: int, begin: int = 0, skill: float = 4
) -> list[Hour]:
    """`count` days with so many rows an hour, from day `begin` on."""
    return [
        Hour(START + timedelta(hours=hour), 1, rows, window(rng, known, rows, skill)[0])
        for hour in range(24 * begin, 24 * (begin + count))
    ]


def raised(hours: list[Hour], known: Reference) -> dict[str, list[int]]:
    """By kind the hours after which an alarm holds."""
    found: dict[str, list[int]] = {"accuracy": [], "drift": []}
    for end in range(1, len(hours) + 1):
        for alarm in report.judge(hours[max(0, end - 40) : end], known, 0.02):
            found[alarm.kind].append(end)
    return found


def measure(say: Callable[[str], None]) -> list[str]:
    """Lines of a table."""
    quiet, delays, losses = [], [], []
    for rows in ROWS:
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            known = of_tests(rng)
            found = raised(days(rng, known, 30, rows), known)
            quiet.append(sum(_begins(hours) for hours in found.values()))
            worse = [*days(rng, known, 2, rows), *days(rng, known, 3, rows, 2, skill=WORSE)]
            losses.append(window(rng, known, 50_000, SKILL)[1] - window(rng, known, 50_000, WORSE)[1])
            after = raised(worse, known)["accuracy"]
            delays.append(after[0] - 48 if after else 72)
            say(f"{rows} rows an hour: {quiet[-1]} alarms in 30 quiet days, one after {delays[-1]} hours of a loss")
    return [
        f"| alarms in 30 simulated quiet days | ≤ 1 |"
        f" {max(quiet)} at most, {sum(quiet)} in {len(quiet)} times 30 days |",
        f"| days until an alarm for a loss of {100 * float(np.mean(losses)):.1f} points | ≤ 2 |"
        f" {max(delays) / 24:.1f} at most, {float(np.median(delays)) / 24:.1f} in the median |",
    ]


def _begins(hours: list[int]) -> int:
    """How many alarms those are, each of which holds for some hours."""
    return sum(hour - 1 not in hours for hour in hours)
