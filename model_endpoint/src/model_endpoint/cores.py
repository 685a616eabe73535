"""The machine's cores: as many inferences at a time as there are.

Nobody waits for a batch to fill up. Where a core is free, a text is computed at once, in the thread of its request;
where none is, the one that waits longest gets the next core. What waits is computed together where the model says that
this costs less: on a GPU.
"""

import math
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np

from model_endpoint.errors import tame
from model_runner import Encoded, Logits, Model


def _shut() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def _wanted() -> None:
    """The check of what is computed in any case."""


@dataclass(eq=False)
class Piece:
    """Texts of one request, and what becomes of them. `turn` opens when they are computed, or are to lead a batch."""

    model: Model
    texts: list[Encoded]
    stop: Callable[[], None]
    """Called before the inference; what it raises is what the request gets instead of scores."""
    turn: threading.Lock = field(default_factory=_shut)
    logits: Logits | None = None
    error: BaseException | None = None

    def result(self) -> Logits:
        """What was computed; raises what went wrong."""
        if self.error is not None:
            raise self.error
        if self.logits is None:
            raise RuntimeError("a piece was given back without having been computed")
        return self.logits


class Cores:
    """`count` inferences at a time, or fewer where the model says so; it may be changed, up to `most`.

    `check` is called before each inference; what it raises is what the requests get instead of scores.
    """

    def __init__(self, count: int, check: Callable[[], None] = lambda: None, most: int = 1) -> None:
        self.count = count
        self._check = check
        self._running = 0
        self._waiting: deque[Piece] = deque()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max(count, most), thread_name_prefix="core")

    @property
    def waiting(self) -> int:
        """How many pieces wait for a core now."""
        return len(self._waiting)

    def logits(
        self,
        model: Model,
        texts: list[Encoded],
        check: Callable[[], None] = _wanted,
        stop: Callable[[], None] | None = None,
    ) -> Logits:
        """What `model` gives for `texts`, in their order; many are cut into pieces, computed side by side.

        `check` is called while there is more to do, `stop` before each inference; what they raise ends the rest. The
        request's own thread hands in pieces too, so that no request waits until all of another's are done.
        """
        side_by_side = min(self.count, model.parallel)
        size = max(1, min(model.piece, math.ceil(len(texts) / side_by_side)))
        if len(texts) <= size:
            return self._piece(model, texts, check, stop)
        # Longest first, so that the last pieces are short on every core.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index].ids), reverse=True)
        left = deque(order[start : start + size] for start in range(0, len(order), size))
        logits = np.empty((len(texts), len(model.labels)), np.float32)

        def work() -> None:
            while True:
                try:
                    piece = left.popleft()
                except IndexError:
                    return
                try:
                    check()
                    logits[piece] = self._piece(model, [texts[index] for index in piece], check, stop)
                except BaseException:
                    left.clear()
                    raise

        helpers = [self._pool.submit(work) for _ in range(min(side_by_side, len(left)) - 1)]
        try:
            work()
        finally:
            started = [helper for helper in helpers if not helper.cancel()]
            wait(started)
        for helper in started:
            helper.result()
        return logits

    def _piece(
        self, model: Model, texts: list[Encoded], check: Callable[[], None], stop: Callable[[], None] | None
    ) -> Logits:
        """What `model` gives for `texts`, at most `model.piece` of them; `check` is called after a wait for a core."""
        piece = Piece(model, texts, stop or self._check)
        batch = [piece]
        with self._lock:
            free = self._running < min(self.count, model.parallel)
            if free:
                self._running += 1
            else:
                self._waiting.append(piece)
        if not free:
            piece.turn.acquire()
            if piece.logits is not None or piece.error is not None:
                return piece.result()
        try:
            if not free:
                check()
                batch += self._companions(piece)
            self._settle(batch)
        finally:
            for other in batch[1:]:
                other.turn.release()
            self._hand_over()
        return piece.result()

    def _companions(self, leader: Piece) -> list[Piece]:
        """Those that are computed with `leader`: the ones that wait longest, as many as make one batch."""
        model, texts = leader.model, len(leader.texts)
        if not model.joins:
            return []
        with self._lock:
            taken: list[Piece] = []
            for piece in self._waiting:
                if piece.model is model and texts + len(piece.texts) <= model.piece:
                    taken.append(piece)
                    texts += len(piece.texts)
            for piece in taken:
                self._waiting.remove(piece)
            return taken

    def _hand_over(self) -> None:
        """Gives the core to who waits longest: a newcomer may not overtake."""
        with self._lock:
            if self._waiting and self._running <= self.count:
                self._waiting.popleft().turn.release()
            else:
                self._running -= 1

    def _settle(self, batch: list[Piece]) -> None:
        try:
            batch[0].stop()
            logits = batch[0].model.logits([text for piece in batch for text in piece.texts])
        except BaseException as error:
            if len(batch) == 1:
                batch[0].error = tame(error)
                return
            for piece in batch:  # one of them may be to blame, and the others not
                self._settle([piece])
        else:
            start = 0
            for piece in batch:
                piece.logits = logits[start : start + len(piece.texts)]
                start += len(piece.texts)
