"""One thing that is to be removed."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Removal:
    """`what` and `because` are for people; `carry_out` says whether it was removed: False where it is needed by now."""

    what: str
    because: str
    carry_out: Callable[[], bool]

    def __str__(self) -> str:
        return f"{self.what}: {self.because}"
