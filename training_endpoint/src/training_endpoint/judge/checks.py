"""What must hold before a version may be served, whatever its metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training_endpoint.data.snapshot import Snapshot
from training_endpoint.judge.evaluate import Labels, Probabilities
from training_endpoint.judge.served import Served
from training_endpoint.settings import Settings

CLASS_ROWS = 10
"""A class with fewer test rows says too little to call it lost, unless the Champion finds it."""


@dataclass(frozen=True)
class Check:
    """One condition for being served at all; `detail` has what was measured and the limit."""

    name: str
    passed: bool
    detail: str


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
) -> list[Check]:
    """All of them, passed or not."""
    overlap = snapshot.overlap / len(snapshot.test)
    labels = np.asarray(snapshot.test.labels, np.int64)
    lost = lost_classes(challenger, champion.probabilities if champion else None, labels, snapshot.label_names)
    if champion is not None:
        lost += [name for name in champion.label_names if name not in snapshot.label_names]
    made = [
        Check(
            "test rows are new to the model",
            overlap <= settings.max_overlap,
            f"{snapshot.overlap} of {len(snapshot.test)} test texts are training texts too, "
            f"limit {settings.max_overlap:.0%}",
        ),
        Check("no class is lost", not lost, f"lost: {', '.join(lost)}" if lost else "every class is found"),
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


def lost_classes(
    challenger: Probabilities, champion: npt.NDArray[np.float64] | None, labels: Labels, label_names: Sequence[str]
) -> list[str]:
    """Classes of the test rows that the challenger never gets right, though the Champion does or the rows suffice."""
    lost = []
    for index, name in enumerate(label_names):
        rows = labels == index
        found = (challenger[rows].argmax(axis=1) == index).any()
        known = champion is not None and (champion[rows].argmax(axis=1) == index).any()
        if not found and (known or rows.sum() >= CLASS_ROWS):
            lost.append(name)
    return lost
