"""The right to answer, lent to each replica for seconds, so that one that hangs cannot stop the others for long.

A replica that does not answer may be dead, stopped or cut off, and may come back at any time. What it was lent runs out
by its own clock (model_endpoint/standing.py), so after that time the others may switch: it asks what is served first.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from mlops_contract.lending import LENT_SECONDS

# A replica whose last answer is older hangs.
SILENT_SECONDS = 3.0


@dataclass
class _Account:
    """What is known of one address; times are of this process's time.monotonic()."""

    answered: float = 0.0
    unanswered: float | None = None
    """Since when it has been asked in vain."""
    until: float = 0.0
    """When the last loan has run out for certain."""
    asked: float = 0.0
    """When the question was put that `told` answers."""
    told: dict[str, Any] = field(default_factory=dict)
    """Its name, its own clock as of `answered`, and the key of the version that it served then."""


class Loans:
    """Of one model. `serving` is the version that the fleet has committed last; `Visits` brings what is `due`."""

    def __init__(self, addresses: Callable[[], list[str]]) -> None:
        self.serving: str | None = None
        self._addresses = addresses
        self._accounts: dict[str, _Account] = {}
        self._barred: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def places(self) -> set[str]:
        """The addresses to visit: every replica's, and those that owe something."""
        return {*self._addresses(), *self.owing(())}

    def silent(self, address: str) -> bool:
        """Whether a replica that is visited has not answered for so long that it hangs."""
        account = self._accounts.get(address)
        since = account.unanswered if account else None
        return since is not None and time.monotonic() - since > SILENT_SECONDS

    def owing(self, present: Iterable[str]) -> set[str]:
        """The addresses beside `present` whose loans run still."""
        now = time.monotonic()
        with self._lock:
            return {address for address, one in self._accounts.items() if one.until > now} - set(present)

    def bar(self, addresses: Iterable[str]) -> None:
        """These get nothing until the next call, which names others or nobody."""
        with self._lock:
            self._barred = frozenset(addresses)

    def pause(self) -> None:
        """Nobody gets anything until `serving` is set."""
        with self._lock:
            self.serving = None

    def run_out(self, addresses: Iterable[str]) -> float:
        """Seconds until all loans of `addresses` have run out, those of an earlier desk too."""
        with self._lock:
            ends = [self._accounts.get(address, _Account()).until for address in addresses]
        return max(0.0, max([*ends, self._began + LENT_SECONDS]) - time.monotonic()) if ends else 0.0

    def due(self, address: str) -> dict[str, Any]:
        """What to say to one replica: the right to answer, where it is due."""
        with self._lock:
            account = self._accounts.setdefault(address, _Account())
            told = account.told
            lent = self.serving is not None and told.get("key") == self.serving and address not in self._barred
            account.asked = time.monotonic()
            account.unanswered = account.unanswered or account.asked
            if lent:
                account.until = account.answered + LENT_SECONDS
            return {"key": self.serving, "replica": told.get("replica"), "clock": told.get("clock") if lent else None}

    def note(self, address: str, told: dict[str, Any] | None) -> bool:
        """Takes what it answered, None where no process listens there; whether it needs the right at once."""
        with self._lock:
            if told is None:
                self._accounts.pop(address, None)
                return False
            account = self._accounts.setdefault(address, _Account())
            account.answered, account.unanswered, account.told = time.monotonic(), None, told
            # What it has just said is enough to lend it.
            return not told.get("standing", True) and told.get("key") == self.serving

    def last(self, address: str) -> dict[str, Any]:
        """What a replica answered last; {} where it has not."""
        account = self._accounts.get(address)
        return account.told if account else {}

    def told(self, since: float) -> dict[str, dict[str, Any]] | None:
        """What every replica answered to a question after `since`; None where one has not."""
        with self._lock:
            found = {address: self._accounts.get(address) for address in self._addresses()}
        answers = {address: one.told for address, one in found.items() if one and one.told and one.asked > since}
        return answers if found and len(answers) == len(found) else None
