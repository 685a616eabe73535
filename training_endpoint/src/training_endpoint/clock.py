"""How long each phase of a job takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds spent in each phase, beginning with those given; a phase may be entered more than once."""

    def __init__(self, spent: dict[str, float] | None = None) -> None:
        self.seconds = dict(spent or {})

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - start
            self.seconds[phase] = round(self.seconds.get(phase, 0.0) + spent, 2)
