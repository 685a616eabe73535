"""What a label is worth: accuracy after 100, 200 and 400 labels, of texts that the queue chose and of random ones.

Traffic is the training rows that the first Champion has not seen. After each batch a full run trains on all rows, as a
job does where so many are new, and the next batch is chosen by the new model.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.growth.sets import Set
from benchmarks.labelling.learner import KEPT, SEEDS, answers, interval, kept, sets
from training_endpoint.judge.evaluate import Labels, Probabilities

BEGUN = 300
"""Rows of the first Champion."""
LABELS = (100, 200, 400)
TRAFFIC = 800
TESTED = 600
WAYS = ("random", "margin", "half")
"""Random texts; those of the smallest margin; half of each."""


def measure(say: Callable[[str], None]) -> list[str]:
    """Lines of the report's table."""
    return [line for data in sets() for line in of_set(data, SEEDS, KEPT, say)]


def of_set(data: Set, seeds: int, folder: Path, say: Callable[[str], None]) -> list[str]:
    """Lines of one set."""
    if len(data.train) < BEGUN + TRAFFIC:
        return [f"| accuracy after labels, {data.name} | shown | not measured: it has {len(data.train)} rows alone |"]
    found = [figures(data, seed, folder, say) for seed in range(seeds)]
    lines = [f"| accuracy before, {data.name}, {BEGUN} rows | – | {np.mean([one['before'][0] for one in found]):.4f} |"]
    for place, labels in enumerate(LABELS):
        for way in WAYS:
            mean, low, high = interval([one[way][place] for one in found])
            told = f"{mean:.4f} ({low:.4f} to {high:.4f})"
            if way != "random":
                gain, low, high = interval([one[way][place] - one["random"][place] for one in found])
                told += f", {100 * gain:+.2f} points to random ({100 * low:+.2f} to {100 * high:+.2f})"
            lines.append(f"| accuracy after {labels} labels, {data.name}, {way} | shown | {told} |")
    return lines


def figures(data: Set, seed: int, folder: Path, say: Callable[[str], None]) -> dict[str, list[float]]:
    """By way the accuracies after each number of labels, and the one `before`."""
    order = np.random.default_rng([seed, 1]).permutation(len(data.train))
    begun, traffic = order[:BEGUN], order[BEGUN : BEGUN + TRAFFIC]
    tested = np.random.default_rng([seed, 2]).permutation(len(data.test))[:TESTED]
    start = _run(data, begun, traffic, tested, seed, folder / f"queue-{data.name}-{seed}-before.npz")
    found = {"before": [_right(data, tested, start["test"])]}
    for number, way in enumerate(WAYS):
        labelled, model = np.empty(0, np.int64), start
        found[way] = []
        for labels in LABELS:
            chance = np.random.default_rng([seed, number, labels])
            scores = start["traffic"] if way == "random" else model["traffic"]
            more = chosen(way, scores, labelled, labels - len(labelled), chance)
            labelled = np.concatenate([labelled, more])
            rows = np.concatenate([begun, traffic[labelled]])
            asked = traffic if way != "random" and labels != LABELS[-1] else traffic[:0]  # nothing is chosen by it
            model = _run(data, rows, asked, tested, seed, folder / f"queue-{data.name}-{seed}-{way}-{labels}.npz")
            found[way].append(_right(data, tested, model["test"]))
        say(f"queue: {data.name}, seed {seed}, {way}: {', '.join(f'{value:.4f}' for value in found[way])}")
    return found


def chosen(way: str, scores: Probabilities, taken: Labels, wanted: int, chance: np.random.Generator) -> Labels:
    """The places of the texts to be labelled next; `scores` [texts, classes] are the present model's."""
    free = np.setdiff1d(np.arange(len(scores)), taken)
    first = {"random": 0, "margin": wanted, "half": wanted // 2}[way]
    best = np.sort(scores[free], axis=1)
    uncertain = free[np.argsort(best[:, -1] - best[:, -2], kind="stable")][:first]
    others = np.setdiff1d(free, uncertain)
    return np.concatenate([uncertain, chance.choice(others, wanted - first, replace=False)]).astype(np.int64)


def _run(data: Set, rows: Labels, traffic: Labels, tested: Labels, seed: int, file: Path) -> dict[str, Probabilities]:
    def make() -> dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"]:
        texts = [list(data.train.pick(traffic).texts), list(data.test.pick(tested).texts)]
        on_traffic, on_test = answers(data, data.train.pick(np.sort(rows)), seed, *texts)
        return {"traffic": on_traffic, "test": on_test}

    return {name: np.asarray(made, np.float64) for name, made in kept(file, make).items()}


def _right(data: Set, tested: Labels, scores: Probabilities) -> float:
    return float((scores.argmax(axis=1) == data.test.labels[tested]).mean())
