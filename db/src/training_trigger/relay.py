"""The relay's loop: look, claim, deliver, wait."""

import logging
import random
import threading
import time

import psycopg

from mlops_contract.errors import PlatformError
from training_trigger.airflow import Airflow
from training_trigger.errors import DagPaused, DatabaseUnavailable
from training_trigger.events import PRUNE_BATCH, Delivery, Events, Pending, connect
from training_trigger.settings import Settings
from training_trigger.status import Status

HELD_SECONDS = 1.0
"""Between two looks at whether the queued run has started."""
IDLE_CHECK_SECONDS = 30.0
"""Between two looks at Airflow while there is nothing to deliver, so that trouble is known before it matters."""
PAUSE_PER_LOOK = 9
"""As many times as long as the look itself, which reads all pending events, however many they are."""
PRUNE_SECONDS = 3600.0
FIRST_RETRY_SECONDS = 0.5

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


def retry_in(attempt: int, cap: float) -> float:
    """Seconds before try number `attempt` + 1: doubling up to `cap`, half of it by chance so that relays spread."""
    longest: float = min(cap, FIRST_RETRY_SECONDS * 2 ** min(attempt, 30))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing


class Relay:
    """Delivers over one database connection.

    What it must not forget is in the database, so it can die between any two lines: a claimed delivery is posted
    again under the same id, and Airflow has each id once.
    """

    def __init__(self, events: Events, airflow: Airflow, settings: Settings, status: Status) -> None:
        self._events = events
        self._airflow = airflow
        self._settings = settings
        self._status = status
        self._next_check = 0.0
        self._next_prune = 0.0

    def step(self) -> float:
        """Delivers at most one run; returns how many seconds to wait before the next step.

        Raises PlatformError from Airflow and psycopg.Error from the database.
        """
        delivery = self._events.claimed()
        if delivery is None:
            start = time.monotonic()
            pending = self._events.pending()
            looked = time.monotonic() - start
            if pending is None:
                return self._rest()
            wait = due_in(pending, self._settings)
            if wait > 0:
                return min(wait, max(self._settings.poll_seconds, looked * PAUSE_PER_LOOK))
            if self._airflow.run_is_queued():
                self._look_at_airflow()
                return HELD_SECONDS
            delivery = self._events.claim()
        if delivery is not None:
            self._deliver(delivery)
        return 0

    def _deliver(self, delivery: Delivery) -> None:
        try:
            self._airflow.start_run(delivery)
        except PlatformError as error:
            self._events.failed(delivery, error.message)
            raise
        self._events.accepted(delivery)
        self._status.delivered()
        log.info(
            "Airflow accepted %s: %s events, %s rows",
            delivery.dag_run_id,
            delivery.conf["events"],
            delivery.conf["rows"],
        )

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
        return self._settings.poll_seconds

    def _look_at_airflow(self) -> None:
        if self._airflow.is_paused():
            raise DagPaused(
                f"The DAG {self._settings.dag_id} is paused: unpause it in Airflow, its runs wait until then."
            )
        self._status.well()


def run(settings: Settings, airflow: Airflow, status: Status, stop: threading.Event) -> None:
    """Connects and delivers until `stop` is set; waits out whatever goes wrong."""
    attempt = 0
    while not stop.is_set():
        try:
            with connect(settings.database_url) as connection:
                events = Events(connection)
                attempt = 0
                _wait_to_lead(events, status, stop, settings.poll_seconds)
                _deliver_until(stop, Relay(events, airflow, settings, status), status, settings)
        except psycopg.Error as error:
            status.trouble(DatabaseUnavailable.because(error))
            stop.wait(retry_in(attempt, settings.retry_cap_seconds))
            attempt += 1


def _wait_to_lead(events: Events, status: Status, stop: threading.Event, poll_seconds: float) -> None:
    while not stop.is_set() and not events.lead():
        status.stand_by()
        stop.wait(max(poll_seconds, HELD_SECONDS))


def _deliver_until(stop: threading.Event, relay: Relay, status: Status, settings: Settings) -> None:
    attempt = 0
    status.lead()
    while not stop.is_set():
        try:
            wait = relay.step()
            attempt = 0
        except PlatformError as error:
            status.trouble(error)
            wait = retry_in(attempt, settings.retry_cap_seconds)
            attempt += 1
        stop.wait(wait)
