"""The right to answer, lent to each replica for seconds, so that one that hangs cannot stop the others for long.

A replica that does not answer may be dead, stopped or cut off, and may come back at any time. What it was lent runs out
by its own clock (model_endpoint/standing.py), so after that time the others may switch: it asks what is served first.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mlops_contract.lending import LENT_SECONDS

BEAT_SECONDS = 1.0
# A replica whose last answer is older hangs.
SILENT_SECONDS = 3.0

Ask = Callable[[str, dict[str, Any]], dict[str, Any] | None]
"""`ask(address, body)`: what the replica says to `POST /models/lend`; None where no process listens there."""


@dataclass
class _Account:
    """What is known of one address; times are of this process's time.monotonic()."""

    answered: float = 0.0
    unanswered: float | None = None
    """Since when it has been asked in vain."""
    replica: str | None = None
    clock: float | None = None
    """The replica's own clock as of `answered`, when it served `key`."""
    key: str | None = None
    until: float = 0.0
    """When the last loan has run out for certain."""
    asked: bool = False


class Loans:
    """One thread that visits every replica each second. `serving` is the version that the fleet has committed last."""

    def __init__(self, addresses: Callable[[], list[str]], ask: Ask) -> None:
        self.serving: str | None = None
        self._addresses = addresses
        self._ask = ask
        self._accounts: dict[str, _Account] = {}
        self._barred: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(32, "loans")
        self._thread = threading.Thread(target=self._run, name="loans", daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; visits that hang end by themselves."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)

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

    def visit(self, address: str) -> None:
        """Lends what is due to one replica, and notes what it says."""
        for _ in range(2):
            with self._lock:
                account = self._accounts.setdefault(address, _Account())
                due = self.serving is not None and account.key == self.serving and address not in self._barred
                clock = account.clock if due else None
                body: dict[str, Any] = {"key": self.serving, "replica": account.replica, "clock": clock}
                account.unanswered = account.unanswered or time.monotonic()
                if due:
                    account.until = account.answered + LENT_SECONDS
            told = self._ask(address, body)
            with self._lock:
                if told is None:
                    self._accounts.pop(address, None)
                    return
                account.answered, account.unanswered = time.monotonic(), None
                account.replica, account.clock, account.key = (told.get(name) for name in ("replica", "clock", "key"))
            if due or told.get("standing", True):
                return  # else it needs the right at once, and what it has just said is enough to lend it

    def _run(self) -> None:
        while not self._stopping.wait(BEAT_SECONDS):
            for address in {*self._addresses(), *self.owing(())}:
                account = self._accounts.setdefault(address, _Account())
                if not account.asked:
                    account.asked = True
                    self._pool.submit(self._visit, address, account)

    def _visit(self, address: str, account: _Account) -> None:
        try:
            self.visit(address)
        finally:
            account.asked = False
