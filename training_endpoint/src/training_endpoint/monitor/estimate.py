"""How often answers are right, and whether they are of the kind that a version was tested on.

An answer's confidence is how sure it is to be right, by its highest score and its text's tokens by word, as both went
with being right on the test rows and on misspelt copies of them. CBPE: the mean of the confidences. ATC: the share of
them above the threshold that as many test rows are above as were answered right (arXiv:2201.04234). Where real texts
get harder the first says too much, where confidences stay true the second jumps: people are told the mean. Neither
sees that labels came to mean something else: only feedback does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
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
class Calibration:
    """The log odds of being right: start + slope × those that the highest score claims
    + by_pieces × (tokens by word - usual)."""

    start: float
    slope: float
    by_pieces: float = 0
    usual: float = 0
    """Tokens by word of the test rows, in the mean; what is not known counts as that."""
    least: float = 0
    most: float = 0
    """The range that the test rows have: nothing is known of what is beyond it."""


@dataclass(frozen=True)
class Reference:
    """What a version answered on its test rows."""

    calibration: Calibration
    threshold: float
    accuracy: float
    summary: Summary

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Reference":
        known = dict(found)
        # Of a release before calibrations: what the log odds of two labels are to be divided by.
        before = known.pop("temperature", None)
        calibration = Calibration(0, 1 / before) if before else Calibration(**known["calibration"])
        return cls(**{**known, "calibration": calibration, "summary": Summary(**known["summary"])})


@dataclass(frozen=True)
class Estimate:
    """An accuracy with its interval of 95 %."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Answered:
    """Answers to rows whose labels are known: `probabilities` [rows, labels], `labels` [rows], and each text's tokens
    by word, where they are known."""

    probabilities: Numbers
    labels: NDArray[np.int64]
    pieces: Sequence[float | None] = ()

    @property
    def right(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.labels
        return found


def calibrate(tested: Answered, spoilt: Answered | None = None) -> Calibration:
    """What makes it likeliest that those answers were right which were.

    Texts of the test rows hardly differ in how they are spelt: `spoilt` are answers to misspelt copies of them, which
    count as much as all of these.
    """
    parts = [tested, spoilt] if spoilt else [tested]
    known = [one for part in parts for one in part.pieces if one is not None]
    own = [one for one in tested.pieces if one is not None]
    range_ = (float(np.mean(own)), min(known), max(known)) if own else (0.0, 0.0, 0.0)
    odds = np.concatenate([_odds(part.probabilities) for part in parts])
    more = np.concatenate([_beyond(part.pieces, len(part.labels), *range_) for part in parts])
    right = np.concatenate([part.right for part in parts])
    rows = len(tested.labels)
    weights = np.concatenate([np.full(len(part.labels), rows / len(part.labels)) for part in parts])
    by = float(more.std()) or 1.0
    design = np.stack([np.ones(len(odds)), odds, more / by], axis=1)
    # As if there were one more of each kind (Platt): with none that is wrong the best would be no doubt at all. And one
    # row's worth of doubt that scores mean what they say and tokens nothing.
    wanted = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))
    usual = np.array([0.0, 1.0, 0.0])

    def loss(slopes: Numbers) -> tuple[float, Numbers]:
        claimed = design @ slopes
        away = (slopes - usual) * [0, 1, 1]
        gradient = design.T @ (weights * (_chance(claimed) - wanted)) + away
        return float((weights * (np.logaddexp(0, claimed) - wanted * claimed)).sum() + (away**2).sum() / 2), gradient

    start, slope, by_pieces = minimize(loss, usual, jac=True, method="BFGS").x.tolist()
    return Calibration(start, slope, by_pieces / by, *range_)


def confidences(probabilities: Numbers, by: Calibration, pieces: Sequence[float | None] = ()) -> Numbers:
    """[rows]: of each row how sure it is that its highest probability is that of the right label."""
    more = _beyond(pieces, len(probabilities), by.usual, by.least, by.most)
    return _chance(by.start + by.slope * _odds(probabilities) + by.by_pieces * more)


def _odds(probabilities: Numbers) -> Numbers:
    """Of the highest in each row, as logarithms."""
    highest = np.clip(probabilities.max(axis=1), FLOOR, 1 - FLOOR)
    return np.asarray(np.log(highest / (1 - highest)))


def _beyond(pieces: Sequence[float | None], rows: int, usual: float, least: float, most: float) -> Numbers:
    """[rows]: how far tokens by word are from the usual, within the range; 0 where they are not known."""
    if not len(pieces):
        return np.zeros(rows)
    return np.array([0.0 if one is None else min(max(one, least), most) - usual for one in pieces])


def _chance(log_odds: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -50, 50))))


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
    tested: Answered, names: Sequence[str], texts: Sequence[str], spoilt: Answered | None = None
) -> Reference:
    """Of a version's answers on its test rows `texts`; `names` are the labels. `spoilt` as for `calibrate`."""
    predicted = tested.probabilities.argmax(axis=1)
    by = calibrate(tested, spoilt)
    sure = confidences(tested.probabilities, by, tested.pieces)
    accuracy = float(tested.right.mean())
    threshold = float(np.quantile(sure, 1 - accuracy)) if accuracy < 1 else float(sure.min())
    lengths, classes = [len(text) for text in texts], [names[index] for index in predicted]
    return Reference(by, threshold, accuracy, summarise(sure, lengths, classes, threshold, tested.pieces))


def cbpe(window: Summary, tested: Reference) -> Estimate:
    """The estimated accuracy of a window: how many of its answers will turn out right.

    The interval has the chance of the window, and that of the test rows that calibrated it.
    """
    accuracy = window.confidence / window.rows
    spread = window.doubt / window.rows**2 + _spread(tested)
    return _within(accuracy, spread)


def atc(window: Summary, tested: Reference) -> Estimate:
    """The same by the threshold; where many test rows are just as sure as that, more are above it than were right."""
    beyond = tested.summary.above / tested.summary.rows - tested.accuracy
    share = min(1.0, max(0.0, window.above / window.rows - beyond))
    return _within(share, _variance(window.above, window.rows) + _spread(tested))


def both(window: Summary, tested: Reference) -> Estimate:
    """The mean of the two, which is what people are told."""
    one, other = cbpe(window, tested), atc(window, tested)
    return Estimate((one.accuracy + other.accuracy) / 2, (one.low + other.low) / 2, (one.high + other.high) / 2)


def least_loss(window: Summary, tested: Reference) -> float:
    """How much less accurate than on the test rows the answers of a window surely (97.5 %) are; negative where not.

    Both by their confidences, so that a calibration that is not quite right is on both sides, and the chance of which
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
