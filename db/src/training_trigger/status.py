"""What the relay says about itself: one log line when something changes, health, metrics."""

import logging
import math
import threading
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from mlops_contract.errors import PlatformError
from training_trigger.errors import DagPaused, DatabaseUnavailable, RowsNotTrained
from training_trigger.events import Backlog

log = logging.getLogger(__name__)


class Status:
    """Shared by the loop, which writes, and the HTTP server, which reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._role = "starting"
        self._problem: PlatformError | None = None
        self._registry = CollectorRegistry()
        self._deliveries = self._counter("deliveries", "Runs that Airflow accepted.")
        self._failures = Counter(
            "training_trigger_failures", "Failed attempts, by reason.", ["code"], registry=self._registry
        )
        self._pending = self._gauge("pending_events", "Events that no run has been accepted for.")
        self._oldest = self._gauge("oldest_pending_seconds", "Age of the oldest of them.")
        self._untrained = self._gauge("untrained_rows", "Rows that ended runs have not trained on.")
        self._given_up = self._gauge("given_up_events", "Events among them that are not tried again.")
        self._of_none = self._gauge(
            "events_of_no_classifier", "Events of watched tables that no classifier learns from."
        )
        self._healthy = self._gauge("healthy", "1 when /health answers 200.")

    def lead(self) -> None:
        """This relay is the one that delivers."""
        self._become("active")

    def stand_by(self) -> None:
        """Another relay delivers; this one takes over when it goes."""
        self._become("standby")

    def delivered(self) -> None:
        self._deliveries.inc()
        if not isinstance(self._problem, DagPaused):  # a paused DAG accepts runs too
            self.well()

    def well(self) -> None:
        """Everything that was tried just now worked."""
        with self._lock:
            before, self._problem = self._problem, None
        if before:
            log.info("works again, after: %s", before.code)

    def trouble(self, problem: PlatformError) -> None:
        """An attempt failed. Only the first of a kind is logged: it is tried again for ever."""
        self._failures.labels(problem.code).inc()
        with self._lock:
            before, self._problem = self._problem, problem
        if before is None or before.code != problem.code:
            log.warning("%s: %s", problem.code, problem.message)

    def health(self, backlog: Backlog | PlatformError) -> tuple[int, dict[str, object]]:
        """Status and body of /health; `backlog` is what the database says now, or why it says nothing."""
        with self._lock:
            role, problem = self._role, self._problem
        body: dict[str, object] = {"role": role}
        if isinstance(backlog, PlatformError):
            problem = backlog
        else:
            body |= {"pending_events": backlog.events, "oldest_pending_seconds": round(backlog.oldest_age, 3)}
            if backlog.of_none:
                body["of_no_classifier"] = _of_none(backlog.of_none)
            if backlog.troubles:
                body["troubles"] = [
                    f"{one['classifier']}: {one['table']} {one['because']}: {one['heal']}" for one in backlog.troubles
                ]
            if backlog.untrained:
                body["untrained"] = sentence = _sentence(backlog.untrained)
                if backlog.untrained["given_up"] and problem is None:
                    problem = RowsNotTrained(f"{sentence} Mend that; any new row or a run by hand tries again.")
        if problem is None:
            return 200, {"status": "ok", **body}
        return problem.status, {"status": "waiting", "code": problem.code, "reason": problem.message} | {
            "passes": problem.can_pass,
            **body,
        }

    def metrics(self, backlog: Backlog | PlatformError) -> bytes:
        """The Prometheus text; gauges of an unknown backlog are NaN."""
        events, age = (backlog.events, backlog.oldest_age) if isinstance(backlog, Backlog) else (math.nan, math.nan)
        self._pending.set(events)
        self._oldest.set(age)
        untrained = (backlog.untrained or {"rows": 0, "given_up": 0}) if isinstance(backlog, Backlog) else {}
        self._untrained.set(untrained.get("rows", math.nan))
        self._given_up.set(untrained.get("given_up", math.nan))
        of_none = (backlog.of_none or {"events": 0}) if isinstance(backlog, Backlog) else {}
        self._of_none.set(of_none.get("events", math.nan))
        self._healthy.set(self.health(backlog)[0] == 200)
        return generate_latest(self._registry)

    def _become(self, role: str) -> None:
        with self._lock:
            before, self._role = self._role, role
        if before != role:
            log.info("this relay is %s", role)
        if isinstance(self._problem, DatabaseUnavailable):
            self.well()

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"training_trigger_{name}", text, registry=self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"training_trigger_{name}", text, registry=self._registry)


def _of_none(found: dict[str, Any]) -> str:
    """Whose rows nothing trains on, for people."""
    tables = ", ".join(found["tables"])
    since = str(found["since"])[:19].replace("T", " ")
    return (
        f"{found['events']} changes of {tables} since {since} belong to no classifier: "
        f"SELECT create_classifier('NAME', '{found['tables'][0]}'), or unwatch_training_table."
    )


def _sentence(untrained: dict[str, Any]) -> str:
    """What is left untrained, for people."""
    since = str(untrained["since"])[:19].replace("T", " ")
    return f"{untrained['rows']} rows not trained on since {since}, because {untrained['because']}"
