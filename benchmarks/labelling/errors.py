"""Flipped labels, and how many of them are among as many flags: of test rows, and of rows that are new.

A model is trained on rows of which as many are flipped; the test rows are judged by themselves, the new rows beside
some test rows, as a run does both.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.growth.sets import Set
from benchmarks.labelling.learner import KEPT, SEEDS, answers, interval, kept, sets
from training_endpoint.data.rows import Rows
from training_endpoint.judge import mislabelled
from training_endpoint.judge.evaluate import Labels, Probabilities

RATES = (0.05, 0.1)
TRAINED = TESTED = NEW = 600
BESIDE = 300
WANTED = 2.0
"""Times what chance finds."""


def measure(say: Callable[[str], None]) -> list[str]:
    """Lines of the report's table."""
    return [line for data in sets() for line in of_set(data, SEEDS, KEPT, say)]


def of_set(data: Set, seeds: int, folder: Path, say: Callable[[str], None]) -> list[str]:
    """Lines of one set."""
    lines = []
    for rate in RATES:
        found: dict[str, list[tuple[int, int, int, int]]] = {"test rows": [], "new rows": []}
        for seed in range(seeds):
            for name, counted in figures(data, rate, seed, folder).items():
                found[name].append(counted)
            say(f"errors: {data.name}, {rate:.0%} flipped, seed {seed}")
        for name, several in found.items():
            mean, low, high = interval([right / flipped for right, _, flipped, _ in several])
            flags, flipped, right = (sum(column) for column in list(zip(*several, strict=True))[1:])
            lines.append(
                f"| {rate:.0%} of labels flipped, {data.name}, {name}: found among as many flags | "
                f"{WANTED * rate:.0%} (chance {rate:.0%}) | {mean:.1%} ({low:.1%} to {high:.1%}); all flags, "
                f"{flags / flipped:.1f} times as many, hold {right / flipped:.0%}; {right / flags:.0%} are right |"
            )
    return lines


def figures(data: Set, rate: float, seed: int, folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Of test and of new rows: flipped ones among as many flags; all flags, flipped rows, those among all flags."""
    trained, test, new = _parts(data, seed)
    flips = [_flipped(data, rows, rate, [seed, number]) for number, rows in enumerate((trained, test, new))]

    def make() -> dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"]:
        learned = Rows(trained.texts, flips[0][1])
        on_test, on_new = answers(data, learned, seed, list(test.texts), list(new.texts))
        return {"test": on_test, "new": on_new}

    file = folder / f"errors-{data.name}-{rate:g}-{seed}.npz"
    scores: dict[str, Probabilities] = {name: np.asarray(made, np.float64) for name, made in kept(file, make).items()}
    beside = slice(0, BESIDE)
    both = np.concatenate([scores["new"], scores["test"][beside]])
    among = mislabelled.suspects(both, np.concatenate([flips[2][1], flips[1][1][beside]]))
    return {
        "test rows": _counted(mislabelled.suspects(scores["test"], flips[1][1]), flips[1][0]),
        "new rows": _counted(among[among < len(new)], flips[2][0]),
    }


def _parts(data: Set, seed: int) -> tuple[Rows, Rows, Rows]:
    order = np.random.default_rng([seed, 1]).permutation(len(data.train))
    size = min(TRAINED, len(order) // 2)
    test = np.random.default_rng([seed, 2]).permutation(len(data.test))[:TESTED]
    return data.train.pick(order[:size]), data.test.pick(test), data.train.pick(order[size : size + NEW])


def _flipped(data: Set, rows: Rows, rate: float, seed: list[int]) -> tuple[Labels, Labels]:
    """Which rows' labels are flipped, and all labels then."""
    chance = np.random.default_rng([*seed, 3])
    places = np.sort(chance.choice(len(rows), round(rate * len(rows)), replace=False)).astype(np.int64)
    labels = np.array(rows.labels, np.int64)
    labels[places] = (labels[places] + chance.integers(1, len(data.label_names), len(places))) % len(data.label_names)
    return places, labels


def _counted(flagged: Labels, flipped: Labels) -> tuple[int, int, int, int]:
    first = flagged[: len(flipped)]
    return int(np.isin(first, flipped).sum()), len(flagged), len(flipped), int(np.isin(flagged, flipped).sum())
