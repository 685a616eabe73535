"""The machine's cores as permits: as many inferences at a time as there are cores, first come first served."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Cores:
    """`count` permits, handed from the one who is done straight to the one who waits longest.

    Handing over keeps the order: with a plain semaphore a newcomer may overtake, and the slowest
    answers get slower.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="core")

    @property
    def waiting(self) -> int:
        """How many wait for a core now."""
        return len(self._waiting)

    @contextmanager
    def core(self) -> Iterator[None]:
        """One core for the block."""
        turn = None
        with self._lock:
            if self._free:
                self._free -= 1
            else:
                turn = threading.Lock()
                turn.acquire()
                self._waiting.append(turn)
        if turn:
            turn.acquire()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().release()
                else:
                    self._free += 1

    def map(self, work: Callable[[T], R], items: list[T]) -> list[R]:
        """`work` on every item, on all cores, the results in the items' order; one item runs in this thread."""
        if len(items) == 1 or self.count == 1:
            return [self._run(work, item) for item in items]
        return list(self._pool.map(lambda item: self._run(work, item), items))

    def _run(self, work: Callable[[T], R], item: T) -> R:
        with self.core():
            return work(item)
