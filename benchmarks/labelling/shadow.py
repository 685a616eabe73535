"""Labels until the shadow is decided about, against labels of random traffic and the gate's exact paired test.

Two models answer the same traffic, as alike as two seeds really are (benchmarks/judging/measured.json), the shadow
truly better by so many points. Labels of random traffic are compared by the exact test whenever there are a tenth more
of them, a thousand more or a hundred more, whichever is best, at levels that the usual rule shares out among looks.
Both promote what is not better equally seldom: that test is two-sided, so it gets twice the level.
"""

import json
from collections.abc import Callable, Sequence
from math import inf
from statistics import NormalDist, median

import numpy as np
import numpy.typing as npt

from benchmarks.judging.gate import MEASURED, SIGNIFICANCE, answers
from training_endpoint.judge import compare, looks
from training_endpoint.judge.evidence import Side, Tally
from training_endpoint.judge.looks import Looks

POINTS = (0.01, 0.02, 0.05)
SIMULATIONS = 300
MOST = 60_000
"""Texts of traffic in each."""
FIRST = 50
"""Labels before the first comparison."""
LESS_ALIKE = 0.9
"""Another correlation: models of different kinds."""

Right = npt.NDArray[np.bool_]


def by_disagreements(right: Right) -> tuple[float, bool]:
    """Labels until the shadow is decided about, and whether for it. `right` [Champion and shadow, texts]."""
    won = lost = 0
    for champion, shadow in right[:, right[0] != right[1]].T:
        won, lost = won + int(shadow), lost + int(champion)
        side = Tally(won, lost).decides(SIGNIFICANCE)
        if side:
            return won + lost, side is Side.SHADOW
    return inf, False


def schedules() -> dict[str, list[int]]:
    """After how many labels one looks."""
    growing = [FIRST]
    while growing[-1] < MOST:
        growing.append(int(growing[-1] * 1.1))
    return {
        "a tenth": growing[:-1],
        "a thousand": list(range(1_000, MOST, 1_000)),
        "a hundred": list(range(100, MOST, 100)),
    }


def by_random_traffic(right: Right, schedule: Sequence[int]) -> float:
    """Labels until the exact test tells, at one of these looks."""
    champion, shadow = right
    won, lost = np.cumsum(shadow & ~champion), np.cumsum(champion & ~shadow)
    for look, labels in enumerate(schedule):
        one, other = int(won[labels - 1]), int(lost[labels - 1])
        level = looks.level(Looks(look), 2 * SIGNIFICANCE)
        # Far from telling: no need to count exactly.
        if (one - other) ** 2 > one + other and compare.exact(one, other) <= level:
            return labels
    return inf


def once(right: Right, points: float) -> float:
    """Labels after which one look is as likely to tell as not, for who knows the difference beforehand."""
    differ = float((right[0] != right[1]).mean())
    return NormalDist().inv_cdf(1 - SIGNIFICANCE) ** 2 * (differ - points**2) / points**2


def measure(say: Callable[[str], None]) -> list[str]:
    """Lines of a table."""
    known = json.loads(MEASURED.read_text())
    accuracy = known["curve"][max(known["curve"], key=int)]
    lines = []
    for shared, wanted in ((known["correlation"], "≤ 0.3"), (LESS_ALIKE, "–")):
        for points in POINTS:
            lines.append(_line(accuracy, points, shared, wanted))
            say(lines[-1])
    return lines


def _line(accuracy: float, points: float, shared: float, wanted: str) -> str:
    ours: list[float] = []
    wrong = 0
    theirs: dict[str, list[float]] = {name: [] for name in schedules()}
    needed = []
    for seed in range(SIMULATIONS):
        right = answers(np.array([accuracy, accuracy + points]), MOST, shared, np.random.default_rng(seed))
        labels, for_it = by_disagreements(right)
        ours.append(labels)
        wrong += labels < inf and not for_it
        needed.append(once(right, points))
        for name, schedule in schedules().items():
            theirs[name].append(by_random_traffic(right, schedule))
    middle, random = median(ours), min(median(found) for found in theirs.values())
    what = f"shadow better by {100 * points:.0f} points, correlation {shared:.2f}"
    known = f"one look, the difference known beforehand: {median(needed):,.0f}"
    return (
        f"| labels until it is decided, {what}, against random traffic | {wanted} | {middle / random:.3f}: "
        f"{middle:,.0f} against {random:,.0f} ({known}); decided wrongly {wrong / SIMULATIONS:.1%} |"
    )
