"""The relay's loop: look, claim, deliver, wait."""

import logging
import random
import threading
import time

import psycopg

from mlops_contract.errors import PlatformError
from training_trigger.airflow import Airflow
from training_trigger.errors import DagPaused, DatabaseUnavailable, RunRefused
from training_trigger.events import PRUNE_BATCH, Delivery, Events, OpenRun, Pending, connect
from training_trigger.settings import Settings
from training_trigger.status import Status

HELD_SECONDS = 1.0
"""Between two looks at whether the queued run has started."""
IDLE_CHECK_SECONDS = 30.0
"""Between two looks at Airflow while there is nothing to deliver, so that trouble is known before it matters."""
PAUSE_PER_LOOK = 9
"""As many times as long as the look itself, which reads all pending events, however many they are."""
PRUNE_SECONDS = 3600.0
RECONCILE_SECONDS = 5.0
"""Between two looks at how accepted runs ended."""
FIRST_RETRY_SECONDS = 0.5
UNDER_WAY = ""

log = logging.getLogger(__name__)


def due_in(pending: Pending, settings: Settings) -> float:
    """Seconds until `pending` is to be delivered; not above 0 means now.

    That is when nothing more came for the quiet time and there are enough rows, and in any case when the oldest
    event has waited for the maximum.
    """
    at_last = settings.max_wait_seconds - pending.oldest_age
    if pending.rows < settings.min_rows:
        return at_last
    return min(settings.quiet_seconds - pending.newest_age, at_last)


def _is_queued(pending: Pending, queued: set[str | None]) -> bool:
    """Whether a run of that classifier waits in Airflow already; one that names none is the default's."""
    return pending.classifier in queued or (pending.is_default and None in queued)


def retry_in(attempt: int, cap: float) -> float:
    """Seconds before try number `attempt` + 1: doubling up to `cap`, half of it by chance so that relays spread."""
    longest: float = min(cap, FIRST_RETRY_SECONDS * 2 ** min(attempt, 30))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing


class Backoff:
    """Pauses after failures, which grow until something worked, over however many connections."""

    def __init__(self, cap: float) -> None:
        self._cap = cap
        self._attempt = 0

    def next(self) -> float:
        self._attempt += 1
        return retry_in(self._attempt - 1, self._cap)

    def reset(self) -> None:
        self._attempt = 0


class Relay:
    """Delivers over one database connection.

    What it must not forget is in the database, so it can die between any two lines: a claimed delivery is posted
    again under the same id, and Airflow has each id once.
    """

    def __init__(
        self, events: Events, airflow: Airflow, settings: Settings, status: Status, backoff: Backoff | None = None
    ) -> None:
        self._events = events
        self._airflow = airflow
        self._settings = settings
        self._status = status
        self._backoff = backoff or Backoff(settings.retry_cap_seconds)
        self._next_reconcile = 0.0
        self._next_check = 0.0
        self._next_prune = 0.0

    def step(self) -> float:
        """Delivers at most one run; returns how many seconds to wait before the next step.

        Raises PlatformError from Airflow and psycopg.Error from the database.
        """
        self._reconcile()
        delivery = self._events.claimed()
        if delivery is None:
            start = time.monotonic()
            self._sort()
            pending = self._events.pending()
            looked = time.monotonic() - start
            if not pending:
                return self._rest()
            wait = min(due_in(one, self._settings) for one in pending)
            if wait > 0:
                return min(wait, max(self._settings.poll_seconds, looked * PAUSE_PER_LOOK))
            queued = self._airflow.queued()
            due = [one for one in pending if due_in(one, self._settings) <= 0 and not _is_queued(one, queued)]
            if not due:
                self._look_at_airflow()
                self._backoff.reset()
                return HELD_SECONDS
            delivery = self._events.claim(due[0].classifier)
        if delivery is not None:
            self._deliver(delivery)
        return 0

    def _sort(self) -> None:
        for table in sorted(self._events.sort()):
            log.warning(
                "%s belongs to no classifier, so nothing trains on it: SELECT create_classifier('NAME', '%s')",
                table,
                table,
            )

    def _deliver(self, delivery: Delivery) -> None:
        try:
            refusal = self._start(delivery)
        except PlatformError as error:
            self._events.failed(delivery, error.message)
            raise
        if refusal is not None:
            settings = self._settings
            self._events.refused(delivery, refusal.message, settings.run_attempts, settings.retry_run_seconds)
            self._status.trouble(refusal)
            return
        self._events.accepted(delivery)
        self._backoff.reset()
        self._status.delivered()
        log.info(
            "Airflow accepted %s: %s events, %s rows",
            delivery.dag_run_id,
            delivery.conf["events"],
            delivery.conf["rows"],
        )

    def _start(self, delivery: Delivery) -> RunRefused | None:
        """Why Airflow will not have the run; None once it has it, perhaps by a try whose answer was lost."""
        try:
            self._airflow.start_run(delivery)
        except RunRefused as refusal:
            return refusal if self._airflow.run_state(delivery.dag_run_id) is None else None
        return None

    def _rest(self) -> float:
        now = time.monotonic()
        if now >= self._next_prune:
            pruned = self._events.prune(self._settings.retention_days)
            if pruned:
                log.info("pruned %d covered events older than %g days", pruned, self._settings.retention_days)
            if pruned < PRUNE_BATCH:  # else it goes on at the next rest, so that new events need not wait for all of it
                self._next_prune = now + PRUNE_SECONDS
        if now >= self._next_check:
            self._look_at_airflow()
            self._next_check = now + IDLE_CHECK_SECONDS
        self._backoff.reset()
        return self._settings.poll_seconds

    def _reconcile(self) -> None:
        """Notes how accepted runs ended; what they left untrained is pending again."""
        now = time.monotonic()
        if now < self._next_reconcile:
            return
        settings = self._settings
        for run in self._events.open_runs():
            because = self._why_untrained(run)
            if because == UNDER_WAY:
                continue
            left = self._events.ended(run.dag_run_id, because, settings.run_attempts, settings.retry_run_seconds)
            if left:
                log.warning("%s left %d events untrained: %s", run.dag_run_id, left, because)
        self._events.forget_trained()
        self._next_reconcile = now + RECONCILE_SECONDS

    def _why_untrained(self, run: OpenRun) -> str | None:
        """None for a run that succeeded, UNDER_WAY for one that goes on, else why it did not train on its rows."""
        if run.status == "succeeded":
            return None
        if run.status is not None:
            return f"the job of {run.dag_run_id} was {run.status}: {run.error or 'no reason given'}"
        state = self._airflow.run_state(run.dag_run_id)
        if state is None:
            return f"Airflow no longer knows the run {run.dag_run_id}: somebody deleted it, or Airflow lost its data."
        if state == "failed":
            return f"the run {run.dag_run_id} failed in Airflow before it had a job: see its log there."
        return None if state == "success" else UNDER_WAY

    def _look_at_airflow(self) -> None:
        if self._airflow.is_paused():
            raise DagPaused(
                f"The DAG {self._settings.dag_id} is paused: unpause it in Airflow, its runs wait until then."
            )
        self._status.well()


def run(settings: Settings, airflow: Airflow, status: Status, stop: threading.Event) -> None:
    """Connects and delivers until `stop` is set; waits out whatever goes wrong."""
    backoff = Backoff(settings.retry_cap_seconds)
    while not stop.is_set():
        try:
            with connect(settings.database_url) as leading, connect(settings.database_url) as connection:
                leader = Events(leading)
                _wait_to_lead(leader, status, stop, settings.poll_seconds)
                relay = Relay(Events(connection), airflow, settings, status, backoff)
                _deliver_until(stop, relay, leader, status, backoff)
        except psycopg.Error as error:
            status.trouble(DatabaseUnavailable.because(error))
            stop.wait(backoff.next())


def _wait_to_lead(leader: Events, status: Status, stop: threading.Event, poll_seconds: float) -> None:
    while not stop.is_set() and not leader.lead():
        status.stand_by()
        stop.wait(max(poll_seconds, HELD_SECONDS))


def _deliver_until(stop: threading.Event, relay: Relay, leader: Events, status: Status, backoff: Backoff) -> None:
    status.lead()
    checked = time.monotonic()
    while not stop.is_set():
        if time.monotonic() - checked > HELD_SECONDS:
            leader.leads()
            checked = time.monotonic()
        try:
            wait = relay.step()
        except PlatformError as error:
            status.trouble(error)
            wait = backoff.next()
        stop.wait(wait)
