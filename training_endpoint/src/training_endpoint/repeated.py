"""Something that is done again and again, in a thread of its own, whatever goes wrong."""

import logging
import threading
from collections.abc import Callable

from mlops_contract.errors import PlatformError

log = logging.getLogger(__name__)


class Repeated:
    """One thread. What is in the way is told once, until something else is."""

    def __init__(self, name: str, act: Callable[[], object], seconds: float, first: float | None = None) -> None:
        """`act` is called every so many `seconds`, after `first` of them for the first time."""
        self._name, self._act, self._seconds = name, act, seconds
        self._first = seconds if first is None else first
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Returns at once; what is under way may be cut off anywhere."""
        self._stopping.set()

    def _run(self) -> None:
        trouble, pause = "", self._first
        while not self._stopping.wait(pause):
            said, pause = "", self._seconds
            try:
                self._act()
            except PlatformError as error:
                said = error.message
                if said != trouble:
                    log.warning("%s: %s", self._name, said)
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                if said != trouble:
                    log.exception("%s goes on after an unexpected error", self._name)
            trouble = said
