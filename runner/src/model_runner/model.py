"""What runs a version, and what its answers are."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model_runner.text import Encoded

Logits = NDArray[np.float32]
Probabilities = NDArray[np.float64]


class Model(Protocol):
    """A text's answer depends on the text alone, to the last bit: not on what else is computed, before or beside it."""

    labels: list[str]
    kind: str
    """For people: the library, the form, where it runs."""
    piece: int
    """The most texts that one call should have."""
    parallel: int
    """How many calls at a time pay, where there are as many cores."""
    joins: bool
    """Whether one call with the texts of several requests costs less than a call for each."""

    def encode(self, texts: list[str]) -> list[Encoded]:
        """Tokenizes; about 0.1 ms a text."""

    def logits(self, texts: list[Encoded]) -> Logits:
        """[len(texts), len(labels)], the rows in the order of the texts."""


def softmax(logits: NDArray[Any]) -> Probabilities:
    """Probabilities float64 of logits [texts, labels]."""
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))
