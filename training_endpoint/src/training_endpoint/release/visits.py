"""One thread that visits every replica each second, with what the loans of all classifiers have for it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from training_endpoint.release.loans import Loans

BEAT_SECONDS = 1.0


class Ask(Protocol):
    """`POST /models/lend` at host:port; bodies and answers by their paths, {} for one of which it knows nothing.

    None where no process listens there.
    """

    def __call__(self, replica: str, due: dict[str, Any], /) -> dict[str, dict[str, Any]] | None: ...


class Visits:
    """A replica that hangs keeps nobody from the others: each is visited by a thread of its own."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._loans: dict[Loans, None] = {}
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(32, "visits")
        self._thread = threading.Thread(target=self._run, name="visits", daemon=True)

    def add(self, loans: Loans) -> None:
        """From the next beat on these are taken along."""
        with self._lock:
            self._loans[loans] = None
            if not self._thread.is_alive() and not self._stopping.is_set():
                self._thread.start()

    def remove(self, loans: Loans) -> None:
        """What they have lent runs out; the thread ends with the last."""
        with self._lock:
            self._loans.pop(loans, None)
            last = not self._loans
        if last:
            self._stopping.set()
            if self._thread.is_alive():
                self._thread.join()
            self._pool.shutdown(wait=False, cancel_futures=True)

    def visit(self, replica: str, theirs: dict[str, Loans]) -> None:
        """Takes to one replica what is due to each path; what needs the right at once gets it in a second visit."""
        for _ in range(2):
            due = {path: loans.due(replica + path) for path, loans in theirs.items()}
            told = self._ask(replica, due)
            theirs = {
                path: loans
                for path, loans in theirs.items()
                if loans.note(replica + path, None if told is None else told.get(path, {}))
                and due[path]["clock"] is None
            }
            if not theirs:
                return

    def _run(self) -> None:
        while not self._stopping.wait(BEAT_SECONDS):
            with self._lock:
                loans = list(self._loans)
            replicas: dict[str, dict[str, Loans]] = {}
            for one in loans:
                for address in one.places():
                    replica, slash, path = address.partition("/")
                    replicas.setdefault(replica, {})[slash + path] = one
            for replica, theirs in replicas.items():
                if replica not in self._under_way:
                    self._under_way.add(replica)
                    self._pool.submit(self._visit, replica, theirs)

    def _visit(self, replica: str, theirs: dict[str, Loans]) -> None:
        try:
            self.visit(replica, theirs)
        finally:
            self._under_way.discard(replica)
