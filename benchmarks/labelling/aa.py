"""Shadows that are exactly as good as the Champion, looked at after every label: how many are promoted all the same."""

from collections.abc import Callable

import numpy as np

from benchmarks.judging.gate import SIGNIFICANCE
from training_endpoint.judge.evidence import Side, Tally, wealth

SHADOWS = 1_000
LABELS = 5_000


def boundary(significance: float, labels: int) -> list[int]:
    """After 1, 2, … labels: the fewest won with which the shadow is promoted."""
    found, won = [], 0
    for count in range(1, labels + 1):
        # One more label never lowers it, and raises it by one at most.
        while won <= count and wealth(won, count - won) < 1 / significance:
            won += 1
        found.append(won)
    return found


def measure(say: Callable[[str], None]) -> list[str]:
    """Lines of a table."""
    bounds = np.array(boundary(SIGNIFICANCE, LABELS))
    say(f"after 100, 1,000 and {LABELS:,} labels it takes {bounds[99]}, {bounds[999]} and {bounds[-1]} won")
    won = np.cumsum(np.random.default_rng(0).random((SHADOWS, LABELS)) < 0.5, axis=1)
    crossed = won >= bounds
    for shadow, label in zip(*np.nonzero(crossed[:, :200]), strict=True):
        assert Tally(won[shadow, label], label + 1 - won[shadow, label]).decides(SIGNIFICANCE) is Side.SHADOW
    wrong = int(crossed.any(axis=1).sum())
    dropped = int((np.arange(1, LABELS + 1) - won >= bounds).any(axis=1).sum())
    return [
        f"| false promotions of {SHADOWS:,} shadows as good as the Champion, a look after each of {LABELS:,} labels | "
        f"≤ {SIGNIFICANCE:.0%} | {wrong / SHADOWS:.1%} (dropped as worse: {dropped / SHADOWS:.1%}) |"
    ]
