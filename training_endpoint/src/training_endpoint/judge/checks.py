"""What must hold before a version may be served, whatever its metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training_endpoint.data.snapshot import Snapshot
from training_endpoint.judge.evaluate import Labels, Probabilities
from training_endpoint.judge.exported import Served
from training_endpoint.settings import Settings

CLASS_ROWS = 10
"""Of a class with fewer test rows it says too little that none is found."""
KNOWN_ROWS = 6
"""The Champion knows a class of which it finds so many rows, or half of them and not one alone."""
MOST_REPLACED = 0.5
"""Whoever replaces more of the test rows than that decides by hand what they say: they may have been made for it."""
SHOWN_CLASSES = 5
"""Of more classes the first are named."""


@dataclass(frozen=True)
class Check:
    """One condition for being served at all; `detail` has what was measured and the limit."""

    name: str
    passed: bool
    detail: str
    blocks: bool = True
    """Whether a version that fails it is not served; else it is served with a warning."""


@dataclass(frozen=True)
class ChampionAnswers:
    """What the Champion answers on the test rows of the challenger."""

    version: int
    probabilities: Probabilities | None
    """[test rows, labels of the snapshot]; None where it could not be loaded: `trouble` says why."""
    label_names: Sequence[str] = ()
    trouble: str = ""


def checks(
    snapshot: Snapshot,
    challenger: Probabilities,
    champion: ChampionAnswers | None,
    served: Served,
    settings: Settings,
    replaced: float = 0.0,
) -> list[Check]:
    """All of them, passed or not. `replaced`: share of the Champion's own test rows that are gone."""
    overlap = snapshot.overlap / len(snapshot.test)
    labels = np.asarray(snapshot.test.labels, np.int64)
    lost, missing = unfound(challenger, champion.probabilities if champion else None, labels, snapshot.label_names)
    gone = [name for name in champion.label_names if name not in snapshot.label_names] if champion else []
    lost += gone
    made = [
        Check(
            "test rows are new to the model",
            overlap <= settings.max_overlap,
            f"{snapshot.overlap} of {len(snapshot.test)} test texts are training texts too, "
            f"limit {settings.max_overlap:.0%}",
        ),
        Check(
            "test rows are those that the Champion was judged on",
            replaced <= MOST_REPLACED,
            f"{replaced:.0%} of those are gone, limit {MOST_REPLACED:.0%}",
        ),
        Check(
            "no class is lost",
            not lost,
            f"lost: {_named(lost)}{_vanished(gone)}" if lost else "what the Champion finds is found",
        ),
        Check(
            "every class is found",
            not missing,
            f"never found: {_named(missing)}" if missing else "of each class a row is found",
            blocks=False,
        ),
        Check(
            "what is served agrees with what was trained",
            served.difference <= served.allowed,
            f"the exported file differs by {served.difference:.3f} on the golden texts, limit {served.allowed}",
        ),
        Check(
            "answers are quick enough",
            served.latency_ms <= settings.latency_budget_ms,
            f"{served.latency_ms:.1f} ms a text, limit {settings.latency_budget_ms:g} ms",
        ),
    ]
    if champion is not None and champion.trouble:
        made.append(Check("the Champion can be compared", False, champion.trouble))
    return made


def unfound(
    challenger: Probabilities, champion: npt.NDArray[np.float64] | None, labels: Labels, label_names: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Classes of which the challenger finds no test row: those that the Champion knows, and others with enough rows."""
    lost, missing = [], []
    for index, name in enumerate(label_names):
        rows = labels == index
        if (challenger[rows].argmax(axis=1) == index).any():
            continue
        known = 0 if champion is None else int((champion[rows].argmax(axis=1) == index).sum())
        if known >= KNOWN_ROWS or (known > 1 and 2 * known >= rows.sum()):
            lost.append(name)
        elif rows.sum() >= CLASS_ROWS:
            missing.append(name)
    return lost, missing


def _vanished(names: Sequence[str]) -> str:
    """That no training row has these labels any more, which only a person can want."""
    return f"; no training row is labelled {_named(names)} any more, deleted or renamed" if names else ""


def _named(names: Sequence[str]) -> str:
    more = len(names) - SHOWN_CLASSES
    return ", ".join(names[:SHOWN_CLASSES]) + (f" and {more} more" if more > 0 else "")
