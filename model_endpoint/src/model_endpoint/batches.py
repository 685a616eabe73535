"""What waits for a GPU is computed together: the texts that arrive during one batch are the next one.

Nobody waits for a batch to fill up. A large request hands in one piece after the other, so that those who came
meanwhile have a part in each batch.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from model_endpoint.model import Encoded, Model, Scores


@dataclass(frozen=True)
class Piece:
    """Texts of one request, and what will become of them."""

    model: Model
    texts: list[Encoded]
    logits: "Future[Scores]" = field(default_factory=Future)


class Batches:
    """One thread that computes; `check` is called before each batch and raises when the requests are to give up."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._waiting: deque[Piece] = deque()
        self._lock = threading.Lock()
        self._computer = ThreadPoolExecutor(1, thread_name_prefix="batches")

    @property
    def waiting(self) -> int:
        """How many pieces wait now."""
        return len(self._waiting)

    def logits(self, model: Model, texts: list[Encoded]) -> Scores:
        """What `model` gives for `texts`, at most `model.chunk` of them."""
        piece = Piece(model, texts)
        with self._lock:
            self._waiting.append(piece)
        # As often as there are pieces, so that none is forgotten; a turn whose piece is computed already does nothing.
        self._computer.submit(self._turn)
        return piece.logits.result()

    def _turn(self) -> None:
        pieces = self._take()
        if pieces:
            self._settle(pieces)

    def _take(self) -> list[Piece]:
        """Those who wait longest, as many as make one batch of one model."""
        with self._lock:
            pieces: list[Piece] = []
            texts = 0
            while self._waiting:
                first = self._waiting[0]
                texts += len(first.texts)
                if pieces and (texts > first.model.chunk or first.model is not pieces[0].model):
                    break
                pieces.append(self._waiting.popleft())
            return pieces

    def _settle(self, pieces: list[Piece]) -> None:
        try:
            parts = self._compute(pieces)
        except Exception as error:
            if len(pieces) == 1:
                pieces[0].logits.set_exception(error)
                return
            # One of them may be to blame, and the others not.
            for piece in pieces:
                self._settle([piece])
        else:
            for piece, part in zip(pieces, parts, strict=True):
                piece.logits.set_result(part)

    def _compute(self, pieces: list[Piece]) -> list[Scores]:
        self._check()
        logits = pieces[0].model.logits([text for piece in pieces for text in piece.texts])
        ends = np.cumsum([len(piece.texts) for piece in pieces])
        return np.split(logits, ends[:-1])
