"""What chance alone explains when the same test rows are looked at again and again: sequential testing.

Every comparison on the same test rows is one more draw from the same lottery, so each spends a part of what may be
spent on all of them together (alpha spending). New training rows are a reason of their own to expect a better model:
the more of its rows the Champion has not seen, the less must the test rows say for a challenger.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training_endpoint.data.snapshot import Rows, Snapshot, beginnings

SKETCH = 128
"""So many of a table's row hashes, the smallest, stand for all of them: two sketches share what the tables share."""
EVEN_LOOKS = 10
"""About so many looks are given almost the same, later ones less and less."""
FRESH_SHARE = 0.1
"""From this share of new training rows on, any gain on the test rows will do."""


@dataclass(frozen=True)
class Looks:
    """What is known about the rows when a challenger is compared on them."""

    earlier: float = 0.0
    """Comparisons on these test rows before this one; one that had half of them counts half."""
    fresh: float = 0.0
    """Share of the training rows that the Champion was not trained on, 0 to 1; 0 where that is not known."""
    replaced: float = 0.0
    """Share of the test rows that the Champion was judged on and that are gone, 0 to 1; 0 where that is not known."""


FIRST = Looks()


def sketches(snapshot: Snapshot) -> dict[str, list[str]]:
    """{"train": […], "test": […]}: what a decision's evidence keeps of its rows, so that a later one knows them."""
    return {
        split: _sketch(split, rows, snapshot.label_names)
        for split, rows in (("train", snapshot.train), ("test", snapshot.test))
    }


def fresh(sketch: Sequence[str], champions: Mapping[str, Any] | None) -> float:
    """Share of the rows behind a training `sketch` that are not behind the Champion's sketches; 0 if it has none."""
    seen = set((champions or {}).get("train", ()))
    return sum(row not in seen for row in sketch) / len(sketch) if seen and sketch else 0.0


def replaced(sketch: Sequence[str], champions: Mapping[str, Any] | None) -> float:
    """Share of the rows behind the Champion's test sketch that are not behind `sketch` any more; 0 if it has none.

    Only hashes up to the largest of `sketch` tell: a row with a larger one may be there without standing in it.
    """
    judged = [row for row in (champions or {}).get("test", ()) if sketch and row <= max(sketch)]
    return sum(row not in set(sketch) for row in judged) / len(judged) if judged else 0.0


def level(looks: Looks, significance: float) -> float:
    """The p-value (two-sided) that a gain must not exceed: 1 where any gain will do.

    Without new rows, the levels of all looks, the first to the last, sum to `significance`.
    """
    earlier = looks.earlier + EVEN_LOOKS
    return min(1.0, significance * EVEN_LOOKS / (earlier * (earlier + 1)) + (looks.fresh / FRESH_SHARE) ** 2)


def flattery(spread: float, looks: Looks) -> float:
    """By how much the Champion's figure exceeds the truth, on average and at most, for having been chosen by it.

    The largest of n values that chance alone tells apart lies below sqrt(2 ln n) of their standard deviation, which is
    `spread`, the standard error of a difference of two, over sqrt(2).
    """
    return spread * math.sqrt(math.log(looks.earlier + 2))


def _sketch(split: str, rows: Rows, label_names: Sequence[str]) -> list[str]:
    hashes = beginnings(split, rows, label_names)
    smallest = np.sort(np.partition(hashes, SKETCH)[:SKETCH] if len(hashes) > SKETCH else hashes)
    return [f"{row:016x}"[:12] for row in smallest]
