"""How often answers are right, and whether they are of the kind that a version was tested on: from its scores alone.

CBPE: the mean of calibrated confidences. ATC: the share of them above the threshold that as many test rows are above as
were answered right (arXiv:2201.04234). Neither sees that labels came to mean something else: only feedback does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import chi2_contingency
from scipy.stats.distributions import kstwo

Numbers = NDArray[np.float64]

BINS = 100
"""Of confidences, from 0 to 1."""
LENGTHS = np.array([0, *np.geomspace(8, 100_000, 40).round()], np.float64)
"""Edges of the bins of lengths, in characters."""
PIECES = np.array([0, *np.arange(1, 5.05, 0.1)], np.float64)
"""Edges of the bins of tokens by word, of which rare, foreign and misspelt words have many."""
Z = 1.96
FLOOR = 1e-6
"""Scores in the log have six digits."""


@dataclass(frozen=True)
class Summary:
    """What is kept of some answers: enough for their estimated accuracy and for tests of their kind.

    Counts add up, so the summary of a day is the sum of those of its hours.
    """

    rows: int
    confidence: float
    """Sum of the calibrated confidences."""
    doubt: float
    """Sum of c (1 - c) over them: the variance of how many are right, given that the confidences are calibrated."""
    above: int
    """Those not below ATC's threshold."""
    confidences: list[int]
    lengths: list[int]
    classes: dict[str, int]
    pieces: list[int] = field(default_factory=lambda: [0] * len(PIECES))

    def __add__(self, other: "Summary") -> "Summary":
        names = {**self.classes, **other.classes}
        return Summary(
            self.rows + other.rows,
            self.confidence + other.confidence,
            self.doubt + other.doubt,
            self.above + other.above,
            [a + b for a, b in zip(self.confidences, other.confidences, strict=True)],
            [a + b for a, b in zip(self.lengths, other.lengths, strict=True)],
            {name: self.classes.get(name, 0) + other.classes.get(name, 0) for name in names},
            [a + b for a, b in zip(self.pieces, other.pieces, strict=True)],
        )


@dataclass(frozen=True)
class Reference:
    """What a version answered on its test rows."""

    temperature: float
    threshold: float
    accuracy: float
    summary: Summary

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Reference":
        return cls(**{**found, "summary": Summary(**found["summary"])})


@dataclass(frozen=True)
class Estimate:
    """An accuracy with its interval of 95 %."""

    accuracy: float
    low: float
    high: float


def temperature(probabilities: Numbers, labels: NDArray[np.int64]) -> float:
    """What logits are to be divided by for the labels to be likeliest: above 1 where answers are too sure.

    `probabilities` [rows, labels], `labels` [rows].
    """
    logits = np.log(np.clip(probabilities, FLOOR, 1))

    def loss(log_temperature: float) -> float:
        scaled = _scaled(logits, float(np.exp(log_temperature)))
        return float(-np.log(np.clip(scaled[np.arange(len(labels)), labels], 1e-12, 1)).mean())

    # With few rows, or none that is wrong, the best would be no doubt at all.
    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded").x))


def confidences(probabilities: Numbers, by: float) -> Numbers:
    """[rows]: of each row the highest probability, calibrated by the temperature `by`."""
    return np.asarray(_scaled(np.log(np.clip(probabilities, FLOOR, 1)), by).max(axis=1))


def _scaled(logits: Numbers, by: float) -> Numbers:
    scaled = logits / by
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: Numbers = scaled / scaled.sum(axis=1, keepdims=True)
    return found


def summarise(
    sure: Numbers,
    lengths: Sequence[int],
    classes: Sequence[str],
    threshold: float,
    pieces: Sequence[float | None] = (),
) -> Summary:
    """Of answers, each with its calibrated confidence, its text's length (-1: not known), its label and, where they are
    known, its tokens by word."""
    names, counts = np.unique(np.asarray(classes, object).astype(str), return_counts=True)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    return Summary(
        len(sure),
        float(sure.sum()),
        float((sure * (1 - sure)).sum()),
        int((sure >= threshold).sum()),
        np.bincount(bins, minlength=BINS).tolist(),
        _histogram([length for length in lengths if length >= 0], LENGTHS),
        dict(zip(names.tolist(), counts.tolist(), strict=True)),
        _histogram([one for one in pieces if one is not None], PIECES),
    )


def _histogram(values: Sequence[float], edges: Numbers) -> list[int]:
    """How many are from each edge to the next, the last one to all that is above."""
    places = np.searchsorted(edges, np.asarray(values, np.float64), side="right") - 1
    counts: list[int] = np.bincount(places, minlength=len(edges)).tolist()
    return counts


def reference(
    probabilities: Numbers,
    labels: NDArray[np.int64],
    names: Sequence[str],
    texts: Sequence[str],
    pieces: Sequence[float | None] = (),
) -> Reference:
    """Of a version's answers on its test rows; `names` are the labels, `pieces` each text's tokens by word."""
    by = temperature(probabilities, labels)
    sure = confidences(probabilities, by)
    predicted = probabilities.argmax(axis=1)
    accuracy = float((predicted == labels).mean())
    threshold = float(np.quantile(sure, 1 - accuracy)) if accuracy < 1 else float(sure.min())
    summary = summarise(sure, [len(text) for text in texts], [names[index] for index in predicted], threshold, pieces)
    return Reference(by, threshold, accuracy, summary)


def cbpe(window: Summary, tested: Reference) -> Estimate:
    """The estimated accuracy of a window: how many of its answers will turn out right.

    The interval has the chance of the window, and that of the test rows that calibrated it.
    """
    accuracy = window.confidence / window.rows
    spread = window.doubt / window.rows**2 + _spread(tested)
    return _within(accuracy, spread)


def atc(window: Summary, tested: Reference) -> Estimate:
    """The same by the threshold."""
    return _within(window.above / window.rows, _variance(window.above, window.rows) + _spread(tested))


def least_loss(window: Summary, tested: Reference) -> float:
    """How much less accurate than on the test rows the answers of a window surely (97.5 %) are; negative where not.

    Both by their confidences, so that a temperature that is not quite right is on both sides, and the chance of which
    answers were right on neither.
    """
    sides = (window, tested.summary)
    means = [one.confidence / one.rows for one in sides]
    # The sum of squares is confidence - doubt.
    spread = sum(
        max(0.0, (one.confidence - one.doubt) / one.rows - mean**2) / one.rows
        for one, mean in zip(sides, means, strict=True)
    )
    return means[1] - means[0] - Z * float(np.sqrt(spread))


def counted(right: int, rows: int) -> Estimate:
    """The true accuracy of what was labelled (Wilson)."""
    share, n = right / rows, rows
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * float(np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))


def _spread(tested: Reference) -> float:
    return _variance(tested.accuracy * tested.summary.rows, tested.summary.rows)


def _variance(count: float, rows: int) -> float:
    """Of a share, as if there were one more of each kind: few rows without an error leave some doubt."""
    share = (count + 1) / (rows + 2)
    return share * (1 - share) / (rows + 2)


def _within(accuracy: float, spread: float) -> Estimate:
    half = Z * float(np.sqrt(spread))
    return Estimate(accuracy, max(0.0, accuracy - half), min(1.0, accuracy + half))


@dataclass(frozen=True)
class Drift:
    """How far a window is from the test rows in one respect: a distance from 0 to 1, and how likely it is by chance."""

    distance: float
    p_value: float


def drift(window: Summary, tested: Reference) -> dict[str, Drift]:
    """By `scores`, `classes`, `lengths` and `pieces`: Kolmogorov-Smirnov's distance, for classes that of their shares.

    Bonferroni is the caller's.
    """
    before = tested.summary
    found = {
        "scores": _ks(window.confidences, before.confidences),
        "classes": _shares(window.classes, before.classes),
    }
    # A log without texts has neither.
    for name in ("lengths", "pieces"):
        one, other = getattr(window, name), getattr(before, name)
        if sum(one) and sum(other):
            found[name] = _ks(one, other)
    return found


def _ks(one: Sequence[int], other: Sequence[int]) -> Drift:
    """Of two histograms with the same bins; what is within a bin counts as equal, which makes the test careful."""
    first, second = np.cumsum(one, dtype=np.float64), np.cumsum(other, dtype=np.float64)
    distance = float(np.abs(first / first[-1] - second / second[-1]).max())
    size = first[-1] * second[-1] / (first[-1] + second[-1])
    return Drift(distance, float(kstwo.sf(distance, max(1, round(size)))))


def _shares(one: Mapping[str, int], other: Mapping[str, int]) -> Drift:
    names = sorted({*one, *other})
    table = np.array([[counts.get(name, 0) for name in names] for counts in (one, other)], np.float64)
    shares = table / table.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    return Drift(distance, float(chi2_contingency(table).pvalue) if len(names) > 1 else 1.0)
