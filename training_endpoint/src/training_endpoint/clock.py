"""How long each phase of a job takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds spent in each phase, beginning with those given.

    A phase may be entered more than once. One that is entered within another is not part of that one's time.
    """

    def __init__(self, spent: dict[str, float] | None = None) -> None:
        self.seconds = dict(spent or {})
        self._within = 0.0

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        beside, self._within = self._within, 0.0
        start = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - start
            self.seconds[phase] = round(self.seconds.get(phase, 0.0) + spent - self._within, 2)
            self._within = beside + spent
