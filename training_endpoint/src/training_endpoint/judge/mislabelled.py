"""Which rows are perhaps wrongly labelled: confident learning on scores of a model that was not trained on them."""

import warnings

import numpy as np
import numpy.typing as npt

from training_endpoint.judge.evaluate import Labels, Probabilities

UNLIKELY = 0.05
"""A label of that probability or less is in doubt, however the others are."""


def suspects(probabilities: Probabilities, labels: Labels) -> npt.NDArray[np.int64]:
    """The places of the rows whose label is perhaps wrong, the most suspicious first.

    `probabilities` [rows, classes] are out of sample; a row whose label is a class that the model does not know, which
    has probability 0 in all rows, is none. Fewer than two labels tell nothing.
    """
    known = np.flatnonzero(probabilities.any(axis=0))
    told = np.flatnonzero(np.isin(labels, known) & np.isfinite(probabilities).all(axis=1))
    scores = probabilities[np.ix_(told, known)]
    told, scores = told[scores.any(axis=1)], scores[scores.any(axis=1)]
    places = np.searchsorted(known, labels[told])
    if len(np.unique(places)) < 2:
        return np.empty(0, np.int64)
    from cleanlab.filter import find_label_issues  # noqa: PLC0415 - takes seconds

    scores = scores / scores.sum(axis=1, keepdims=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that classes have few rows
        doubted = find_label_issues(places, scores, n_jobs=1)
    # One wrong label among few right ones is too little for the library's estimate of how many there are.
    doubted |= (scores[np.arange(len(told)), places] <= UNLIKELY) & (scores.argmax(axis=1) != places)
    found = np.flatnonzero(doubted)
    order = np.argsort(-suspicion(scores[found], places[found]), kind="stable")
    return np.asarray(told[found[order]], np.int64)


def suspicion(probabilities: Probabilities, labels: Labels) -> npt.NDArray[np.float64]:
    """Of each row, from 0 to 1: how much likelier the likeliest other class is than the label."""
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -1
    return np.asarray((others.max(axis=1) - own + 1) / 2, np.float64)
