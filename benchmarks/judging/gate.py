"""Whether the gate promotes noise, and whether it stands still: histories of runs, simulated as training really varies.

A row is answered right when the sum of what all models share about it (its difficulty) and of a model's own luck with
it is high enough for the model's true accuracy. How much is shared, by how much the true accuracies of two seeds
differ, and how accuracy grows with the training rows was measured by training (seeds.py) and stands in measured.json.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from statistics import NormalDist, fmean, median
from typing import Any

import numpy as np
import numpy.typing as npt

from training_endpoint.judge import compare, looks
from training_endpoint.judge.looks import Looks

MEASURED = Path(__file__).with_name("measured.json")
SIGNIFICANCE = 0.05
REPEATS, REPEAT_ROWS = 1000, 320
"""Runs on unchanged rows, and their test rows."""
STEPS, STEP_ROWS, FEWEST = 100, 1821, 320
"""Runs that add rows, their test rows (all of SST-2), and the training rows of the first."""
HISTORIES = 100

Shares = npt.NDArray[np.float64]
Gate = Callable[[int, int, int, Looks], bool]
"""Whether to promote: rows that only the challenger gets right, only the Champion; all rows; what is known of them."""


@dataclass
class History:
    """What became of the Champion over a history of runs."""

    truth: Shares
    """True accuracy of each run's model, the first the first Champion's."""
    served: list[int] = field(default_factory=lambda: [0])
    """The run whose model is served after each run."""
    flattered: float = 0.0
    """The last Champion's measured accuracy less its true one, and less what is so for the models on these rows."""
    said: float = 0.0
    """What the verdict says about that."""

    @property
    def promotions(self) -> int:
        return len(set(self.served)) - 1

    @property
    def shortfall(self) -> float:
        """By how much the served model was truly worse than the best that had been served before, at most."""
        accuracies = self.truth[self.served]
        return float((np.maximum.accumulate(accuracies) - accuracies).max())

    @property
    def behind(self) -> float:
        """By how much the last Champion is truly worse than the best of all: what an oracle would have promoted."""
        return float(self.truth.max() - self.truth[self.served[-1]])


def policy(name: str) -> Gate:
    """A PROMOTION_POLICY as the training endpoint decides by it."""

    def gate(won: int, lost: int, _: int, known: Looks) -> bool:
        asked = compare.level(name, SIGNIFICANCE, known)
        return compare.promotes(name, won - lost, compare.exact(won, lost), asked)

    return gate


def ladder(won: int, lost: int, rows: int, _: Looks) -> bool:
    """The parameter-free Ladder (Blum and Hardt 2015): a gain above one standard error of the difference."""
    gain = (won - lost) / rows
    return gain > sqrt(((won + lost) / rows - gain * gain) / rows)


def spending(won: int, lost: int, _: int, known: Looks) -> bool:
    """Alpha spending alone: as the default, but new training rows count for nothing."""
    return won > lost and compare.exact(won, lost) <= looks.level(Looks(known.earlier), SIGNIFICANCE)


GATES: dict[str, Gate] = {
    "sequential (the default)": policy("sequential"),
    "better": policy("better"),
    "significant": policy("significant"),
    "the Ladder": ladder,
    "alpha spending alone": spending,
}


def answers(truth: Shares, rows: int, shared: float, chance: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which rows each model gets right, [models, rows]; `shared` is the correlation between two models on a row."""
    limits = np.array([NormalDist().inv_cdf(accuracy) for accuracy in truth])
    difficulty = chance.standard_normal(rows) * sqrt(shared)
    luck = chance.standard_normal((len(truth), rows)) * sqrt(1 - shared)
    return np.asarray(difficulty + luck < limits[:, None])


def follow(gate: Gate, truth: Shares, right: npt.NDArray[np.bool_], train_rows: Shares) -> History:
    """What a gate makes of a history of runs."""
    history, champion, known, differ = History(truth), 0, Looks(), 0.0
    rows = right.shape[1]
    for run in range(1, len(truth)):
        known = Looks(run - 1, 1 - train_rows[champion] / train_rows[run])
        won = int(np.count_nonzero(right[run] & ~right[champion]))
        lost = int(np.count_nonzero(right[champion] & ~right[run]))
        differ = (won + lost) / rows
        if gate(won, lost, rows, known):
            champion = run
        history.served.append(champion)
    luck = right.mean(axis=1) - truth
    history.flattered = float(luck[champion] - luck.mean())
    history.said = looks.flattery(sqrt(differ / rows), known)
    return history


def repeats(measured: dict[str, Any], histories: int) -> dict[str, list[History]]:
    """By gate: runs on unchanged rows with other seeds."""
    middle = measured["curve"][max(measured["curve"], key=int)]
    found: dict[str, list[History]] = {}
    for seed in range(histories):
        chance = np.random.default_rng(seed)
        truth = np.clip(chance.normal(middle, measured["between_seeds"], REPEATS + 1), 0.5, 0.999)
        right = answers(truth, REPEAT_ROWS, measured["correlation"], chance)
        for name, gate in GATES.items():
            found.setdefault(name, []).append(follow(gate, truth, right, np.ones(len(truth))))
    return found


def growing(measured: dict[str, Any], histories: int, between: float) -> dict[str, list[History]]:
    """By gate: runs that each add as many rows, along the measured learning curve."""
    sizes = sorted(map(int, measured["curve"]))
    train_rows = np.linspace(FEWEST, sizes[-1], STEPS + 1)
    curve = np.interp(np.log(train_rows), np.log(sizes), [measured["curve"][str(size)] for size in sizes])
    found: dict[str, list[History]] = {}
    for seed in range(histories):
        chance = np.random.default_rng(seed)
        truth = np.clip(chance.normal(curve, between), 0.5, 0.999)
        right = answers(truth, STEP_ROWS, measured["correlation"], chance)
        for name, gate in GATES.items():
            found.setdefault(name, []).append(follow(gate, truth, right, train_rows))
    return found


def report(histories: int) -> str:
    """Two tables: what is asked for and what the default reaches, and how the other gates compare."""
    measured = json.loads(MEASURED.read_text())
    unchanged = repeats(measured, histories)
    curve, lucky = (growing(measured, histories, between) for between in (0.0, measured["between_seeds"]))
    default = next(iter(GATES))
    same, grown, seeded = unchanged[default], curve[default], lucky[default]
    lines = [
        f"{histories} histories each of {REPEATS:,} runs on unchanged rows ({REPEAT_ROWS} test rows), and of {STEPS} "
        f"runs that each add rows of SST-2 ({STEP_ROWS:,} test rows). Two seeds agree on rows with a correlation of "
        f"{measured['correlation']:.2f}; their true accuracies differ by {_points(measured['between_seeds'])} points "
        "(one standard deviation).",
        "",
        "| the default gate | wanted | reached |",
        "| --- | --- | --- |",
        f"| runs on unchanged rows that are promoted, most in any history | ≤ 5 % | "
        f"{max(one.promotions for one in same) / REPEATS:.1%} |",
        f"| histories of {REPEATS:,} such runs in which anything is promoted | ≤ 5 % | "
        f"{fmean(one.promotions > 0 for one in same):.0%} |",
        f"| true accuracy below the best that was served, most in any history, points | ≤ 0.3 | "
        f"{_points(max(one.shortfall for one in same))} |",
        f"| final accuracy behind an oracle, runs that add rows, median (mean), points | ≤ 0.3 | "
        f"{_middle([one.behind for one in grown])} |",
        f"| … where seeds are luckier or not, and the oracle knows which | – | "
        f"{_middle([one.behind for one in seeded])} |",
        "| by how much the Champion is flattered, mean, and at most by its verdict, points | – | "
        f"{_points(fmean(one.flattered for one in grown))}, {_points(fmean(one.said for one in grown))} |",
        "",
        f"| gate | unchanged rows: promotions of {REPEATS:,} | histories with one among the first 8 | "
        f"below the best served by > 0.3 points | added rows: promotions of {STEPS} | behind an oracle, points |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in GATES:
        still, moving = unchanged[name], curve[name]
        lines.append(
            f"| {name} | {fmean(one.promotions for one in still):.2f} | "
            f"{fmean(any(one.served[:9]) for one in still):.0%} | "
            f"{fmean(one.shortfall > 0.003 for one in still):.0%} | "
            f"{fmean(one.promotions for one in moving):.1f} | {_middle([one.behind for one in moving])} |"
        )
    return "\n".join(lines)


def _points(share: float) -> str:
    return f"{100 * share:.2f}"


def _middle(shares: list[float]) -> str:
    return f"{_points(median(shares))} ({_points(fmean(shares))})"
