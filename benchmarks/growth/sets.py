"""The sets of sentences: as they are, and repeated with changed words."""

import random
from dataclasses import dataclass
from pathlib import Path

from benchmarks.training.task import texts
from training_endpoint.data.rows import Rows

CHANGED = 0.15
"""Of a repeated sentence's words so many are those of another sentence."""


@dataclass(frozen=True)
class Set:
    """`train` and `test` rows, drawn into one order."""

    name: str
    train: Rows
    test: Rows
    label_names: list[str]

    @classmethod
    def read(cls, folder: Path, most: int | None) -> "Set":
        """The files `train` and `test` in `folder`; at most so many rows of each."""
        return cls(folder.name, *texts(folder, most))

    def rows(self, times: int) -> list[tuple[str, str]]:
        """(text, label) of the training rows, `times` times as many."""
        chance = random.Random(0)
        own = self._named(self.train)
        words = [word for text, _ in own for word in text.split()]
        more = [
            (" ".join(chance.choice(words) if chance.random() < CHANGED else word for word in text.split()), label)
            for _ in range(times - 1)
            for text, label in own
        ]
        return own + more

    def test_rows(self) -> list[tuple[str, str]]:
        """(text, label) of the test rows."""
        return self._named(self.test)

    def _named(self, rows: Rows) -> list[tuple[str, str]]:
        return [(text, self.label_names[label]) for text, label in zip(rows.texts, rows.labels, strict=True)]
