"""Which logged texts the shadow answers again: the Champion's answers, the oldest first, none that it has learned."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from training_endpoint import database
from training_endpoint.data.classifiers import Classifier
from training_endpoint.data.snapshot import row_hash
from training_endpoint.release import ledger
from training_endpoint.shadow.shadows import Shadow

LOOKED_BACK = timedelta(days=7)
"""Older traffic says little about that of today."""
CLOCKS = timedelta(minutes=1)
"""By so much a replica's clock may differ from the database's."""
LAG_S = 3.0
"""Replicas write their rows so late, and a row with an earlier time is passed over."""


@dataclass(frozen=True)
class Answer:
    """A logged text, and what the Champion said to it."""

    at: datetime
    request_id: str
    place: int
    text: str | None
    """None where PREDICTION_LOG was hashed."""
    label: str
    scores: dict[str, float]

    @property
    def digest(self) -> bytes:
        return hashlib.sha256((self.text or "").encode()).digest()

    @property
    def priority(self) -> float:
        """By chance, from 0 to 1: an order of asking that has to do with scores would make the test unfair."""
        return int.from_bytes(self.digest[:3]) / 2**24


def following(url: str, classifier: Classifier, shadow: Shadow, most: int) -> list[Answer]:
    """At most so many, the next ones after what the shadow has seen."""
    since = datetime.now(UTC) - LOOKED_BACK
    made = ledger.reason_of(url, classifier.model, shadow.champion_version)
    since = max(since, made.at - CLOCKS) if made else since
    goes_on = shadow.seen_at is not None and shadow.seen_at >= since
    values: dict[str, Any] = {
        "names": classifier.names,
        "since": shadow.seen_at if goes_on else since,
        "request": shadow.seen_request if goes_on else "",
        "place": shadow.seen_place if goes_on else -1,
        "champion": shadow.champion_version,
        "lag": LAG_S,
        "most": most,
    }
    with database.connect(url) as connection:
        return [Answer(**row) for row in connection.execute(database.query("shadow_texts"), values)]


@dataclass(frozen=True)
class Learned:
    """The rows that a version was trained and tested on, by the beginnings of their hashes."""

    rows: dict[str, npt.NDArray[np.uint64]]
    labels: list[str]
    limit: int
    """Characters after which texts were cut."""

    def has(self, text: str) -> bool:
        """Whether a row has this text, whatever its label."""
        cut = text[: self.limit]
        return any(
            _among(int.from_bytes(row_hash(split, cut, label)[:8]), hashes)
            for split, hashes in self.rows.items()
            for label in self.labels
        )


def _among(number: int, hashes: npt.NDArray[np.uint64]) -> bool:
    """`hashes` are sorted."""
    place = int(np.searchsorted(hashes, np.uint64(number)))
    return place < len(hashes) and int(hashes[place]) == number
