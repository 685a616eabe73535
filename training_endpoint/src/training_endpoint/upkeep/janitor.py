"""Removes what is kept no longer: every CLEAN_HOURS, when a person asks, and when a job finds its disk full."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from mlops_contract.errors import PlatformError
from training_endpoint import database
from training_endpoint.errors import BackupRuns
from training_endpoint.settings import Settings
from training_endpoint.upkeep import folders, old_runs, version_files
from training_endpoint.upkeep.removal import Removal

FIRST_S = 60
"""After the start of the service, which has other things to do."""
AGAIN_S = 300
"""After a pass that did not come to its end."""

log = logging.getLogger(__name__)
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Pass:
    """What a pass removed, and what stopped it, if anything did."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    removed: list[str] = field(default_factory=list)
    trouble: str = ""


def planned(settings: Settings, urgent: bool = False) -> Iterator[Removal]:
    """What a pass would remove now; `urgent`: room is wanted, so that what was just rejected goes too."""
    yield from version_files.removals(settings, urgent)
    yield from old_runs.removals(settings)
    yield from folders.removals(settings)


def clean(settings: Settings, urgent: bool = False) -> Pass:
    """One pass. Each removal is logged; what cannot be done now is left to the next pass."""
    removed: list[str] = []
    try:
        with _one_at_a_time, _no_backup(settings):
            for removal in planned(settings, urgent):
                if removal.carry_out():
                    removed.append(str(removal))
                    log.info("removed %s", removal)
    except PlatformError as error:
        log.warning("the janitor stops for now: %s", error.message)
        return Pass(removed=removed, trouble=error.message)
    return Pass(removed=removed)


@contextmanager
def _no_backup(settings: Settings) -> Iterator[None]:
    """None begins meanwhile; raises `BackupRuns` while one is taken."""
    with database.connect(settings.database_url) as connection:
        try:
            connection.execute(database.query("clean_alone"))
        except psycopg.errors.LockNotAvailable as error:
            raise BackupRuns("A backup is being taken: what it names stays until it is whole.") from error
        yield


class Janitor:
    """One thread; `last` is its last pass."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.last: Pass | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="janitor", daemon=True)

    def start(self) -> None:
        """Begins; returns at once. CLEAN_HOURS of 0 is never."""
        if self.settings.clean_hours:
            self._thread.start()

    def stop(self) -> None:
        """Returns at once: a pass that is under way may be cut off anywhere, the next one ends what it began."""
        self._stopping.set()

    def clean(self) -> Pass:
        """A pass now."""
        self.last = clean(self.settings)
        return self.last

    def _run(self) -> None:
        pause: float = FIRST_S
        while not self._stopping.wait(pause):
            try:
                trouble = self.clean().trouble
            except Exception:
                log.exception("the janitor goes on after an unexpected error")
                trouble = "unexpected"
            pause = AGAIN_S if trouble else self.settings.clean_hours * 3600
