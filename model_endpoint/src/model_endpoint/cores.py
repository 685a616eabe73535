"""The machine's cores: as many inferences at a time as there are. What waits for one is computed together.

Nobody waits for a batch to fill up. Where a core is free, a text is computed at once, in the thread of its request;
where none is, the one that waits longest gets the next core, and takes along others that cost less together with it.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cached_property

from model_endpoint.batches import padding
from model_endpoint.errors import tame
from model_endpoint.model import Encoded, Model, Scores


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
    turn: threading.Lock = field(default_factory=_shut)
    logits: Scores | None = None
    error: BaseException | None = None

    @cached_property
    def length(self) -> int:
        """Tokens of the longest text."""
        return max(len(text.ids) for text in self.texts)

    def result(self) -> Scores:
        """What was computed; raises what went wrong."""
        if self.error is not None:
            raise self.error
        if self.logits is None:
            raise RuntimeError("a piece was given back without having been computed")
        return self.logits


class Cores:
    """`count` inferences at a time, or fewer where the model says so.

    `check` is called before each inference; what it raises is what the requests get instead of scores.
    """

    def __init__(self, count: int, check: Callable[[], None] = lambda: None) -> None:
        self.count = count
        self._check = check
        self._running = 0
        self._waiting: deque[Piece] = deque()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="core")

    @property
    def waiting(self) -> int:
        """How many pieces wait for a core now."""
        return len(self._waiting)

    def map(self, model: Model, pieces: list[list[Encoded]], check: Callable[[], None] = _wanted) -> list[Scores]:
        """The logits of every piece, in the pieces' order; several are computed side by side.

        `check` is called before each piece; what it raises ends the rest of them. The request's own thread hands in
        pieces too, so that no request waits until all of another's are done.
        """
        left = deque(enumerate(pieces))
        found: dict[int, Scores] = {}

        def work() -> None:
            while True:
                try:
                    index, piece = left.popleft()
                except IndexError:
                    return
                try:
                    check()
                    found[index] = self.logits(model, piece, check)
                except BaseException:
                    left.clear()
                    raise

        helpers = [self._pool.submit(work) for _ in range(min(self.count, model.parallel, len(pieces)) - 1)]
        try:
            work()
        finally:
            started = [helper for helper in helpers if not helper.cancel()]
            wait(started)
        for helper in started:
            helper.result()
        return [found[index] for index in range(len(pieces))]

    def logits(self, model: Model, texts: list[Encoded], check: Callable[[], None] = _wanted) -> Scores:
        """What `model` gives for `texts`, at most `model.chunk` of them; `check` is called after a wait for a core."""
        piece = Piece(model, texts)
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
        """Those that cost less together with `leader`, the most alike in length first, as many as make one batch."""
        model, longest, texts = leader.model, leader.length, len(leader.texts)
        with self._lock:
            taken: list[Piece] = []
            for piece in sorted(self._waiting, key=lambda piece: abs(piece.length - leader.length)):
                count, length = len(piece.texts), piece.length
                if piece.model is not model or texts + count > model.chunk:
                    continue
                if padding(longest, texts, length, count) <= model.overhead:
                    taken.append(piece)
                    longest, texts = max(longest, length), texts + count
                if texts == model.chunk:
                    break
            for piece in taken:
                self._waiting.remove(piece)
            return taken

    def _hand_over(self) -> None:
        """Gives the core to who waits longest: a newcomer may not overtake."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().turn.release()
            else:
                self._running -= 1

    def _settle(self, batch: list[Piece]) -> None:
        try:
            self._check()
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
