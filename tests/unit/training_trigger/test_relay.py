import logging
import threading
import time
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest

from mlops_contract.env import SettingError
from tests import fake_airflow
from tests.fake_airflow import FakeAirflow
from tests.relay_service import settings
from training_trigger import relay
from training_trigger.airflow import Airflow
from training_trigger.errors import (
    AirflowLoginRefused,
    AirflowUnavailable,
    DagMissing,
    DagPaused,
    DatabaseUnavailable,
    RunRefused,
)
from training_trigger.events import PRUNE_BATCH, Backlog, Delivery, OpenRun, Pending
from training_trigger.relay import Relay, due_in, retry_in
from training_trigger.settings import Settings
from training_trigger.status import Status

DELIVERY = Delivery("trigger__1", {"tables": {"t": {"INSERT": 3}}, "events": 1, "rows": 3, "newest_event": 1})


@pytest.fixture
def fake() -> Any:
    with fake_airflow.serve() as server:
        yield server


def of(fake: FakeAirflow, **changes: str) -> Settings:
    return settings("unused", fake.url, fake_airflow.USER, fake_airflow.PASSWORD, **changes)


@pytest.mark.parametrize(
    ("oldest", "newest", "rows", "expected"),
    [
        (1, 1, 5, 1),  # quiet for one of two seconds
        (3, 2, 5, 0),  # quiet for long enough
        (59, 0.5, 5, 1),  # never quiet: the maximum wait decides
        (10, 10, 4, 50),  # too few rows: only the maximum wait ends that
        (61, 61, 4, -1),
    ],
)
def test_debounce(oldest: float, newest: float, rows: int, expected: float) -> None:
    chosen = settings("d", "a", "u", "p", QUIET_SECONDS="2", MAX_WAIT_SECONDS="60", MIN_ROWS="5")
    assert due_in(Pending(oldest, newest, rows), chosen) == pytest.approx(expected)


def test_retries_grow_to_the_cap_and_never_stop() -> None:
    waits = [retry_in(attempt, 30) for attempt in range(2000)]
    assert waits[0] <= 0.5
    assert all(15 <= wait <= 30 for wait in waits[10:])
    assert len(set(waits[10:])) > 100, "no jitter"


class Nothing:
    """A database without pending events; `prunable` old ones."""

    def __init__(self, prunable: int = 0) -> None:
        self.prunable = prunable

    def lead(self) -> bool:
        return True

    def open_runs(self) -> list[OpenRun]:
        return []

    def forget_trained(self) -> None:
        pass

    def claimed(self) -> None:
        return None

    def sort(self) -> set[str]:
        return set()

    def pending(self) -> list[Pending]:
        return []

    def prune(self, days: float) -> int:
        batch = min(self.prunable, PRUNE_BATCH)
        self.prunable -= batch
        return batch


class FullDisk(Nothing):
    """Everything can be read and nothing written."""

    def pending(self) -> list[Pending]:
        return [Pending(5, 5, 1)]

    def claim(self, classifier: str) -> None:
        raise psycopg.errors.DiskFull("could not extend file")


def test_the_pauses_grow_over_reconnects(fake: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, waits = threading.Event(), []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) == 8:
            stop.set()
        return False

    monkeypatch.setattr(stop, "wait", wait)
    monkeypatch.setattr(relay, "connect", lambda _: nullcontext())
    monkeypatch.setattr(relay, "Events", lambda _: FullDisk())
    relay.run(of(fake, RETRY_CAP_SECONDS="30"), Airflow(of(fake)), Status(), stop)
    assert waits[0] <= 0.5 and waits[-1] >= 15
    assert sum(waits) > 40


def test_each_error_says_whether_it_can_pass() -> None:
    status = Status()
    for error, passes in ((AirflowUnavailable("away"), True), (AirflowLoginRefused("no"), False)):
        status.trouble(error)
        assert status.health(Backlog(0, 0))[1]["passes"] is passes


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (404, DagMissing),
        (400, RunRefused),
        (422, RunRefused),
        (410, RunRefused),
        (408, AirflowUnavailable),
        (429, AirflowUnavailable),
        (500, AirflowUnavailable),
        (fake_airflow.BROKEN, AirflowUnavailable),
    ],
)
def test_each_answer_has_its_error_and_the_next_try_succeeds(
    fake: FakeAirflow, answer: int, error: type[Exception]
) -> None:
    airflow = Airflow(of(fake))
    fake.planned.append(answer)
    with pytest.raises(error):
        airflow.start_run(DELIVERY)
    assert not fake.runs
    airflow.start_run(DELIVERY)
    assert fake.runs == {DELIVERY.dag_run_id: DELIVERY.conf}


def test_a_page_that_is_not_airflows_accepts_no_run(fake: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    airflow = Airflow(of(fake))
    monkeypatch.setattr(fake, "start_run", lambda _: (200, {"page": "back soon"}))
    with pytest.raises(AirflowUnavailable, match="without dag_run_id"):
        airflow.start_run(DELIVERY)


def test_a_run_whose_acceptance_was_not_heard_is_accepted_once(fake: FakeAirflow) -> None:
    airflow = Airflow(of(fake))
    fake.planned.append(fake_airflow.LOST)
    with pytest.raises(AirflowUnavailable):
        airflow.start_run(DELIVERY)
    airflow.start_run(DELIVERY)  # 409
    assert (list(fake.runs), fake.posts) == ([DELIVERY.dag_run_id], 2)


@pytest.mark.parametrize("refusal", [401, 403])
def test_the_token_is_renewed(fake: FakeAirflow, refusal: int) -> None:
    airflow = Airflow(of(fake))
    fake.planned.append(refusal)
    airflow.start_run(DELIVERY)
    assert (list(fake.runs), fake.logins) == ([DELIVERY.dag_run_id], 2)


def test_an_account_without_rights_is_named(fake: FakeAirflow) -> None:
    fake.planned.extend([403, 403])
    with pytest.raises(AirflowLoginRefused, match="give that account a role"):
        Airflow(of(fake)).start_run(DELIVERY)


def test_a_wrong_password_says_what_to_set(fake: FakeAirflow) -> None:
    fake.password = "another"
    with pytest.raises(AirflowLoginRefused, match="AIRFLOW_RELAY_PASSWORD"):
        Airflow(of(fake)).start_run(DELIVERY)


def test_an_airflow_that_hangs_is_given_up_on(fake: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    airflow = Airflow(of(fake, REQUEST_TIMEOUT_SECONDS="0.1"))
    monkeypatch.setattr(fake, "answer", lambda *_: __import__("time").sleep(0.5) or (200, {}))
    with pytest.raises(AirflowUnavailable, match=r"within 0\.1 s"):
        airflow.start_run(DELIVERY)


def test_pruning_takes_a_batch_at_a_time_and_then_a_break(fake: FakeAirflow) -> None:
    nothing = Nothing(PRUNE_BATCH + 1)
    mine = Relay(nothing, Airflow(of(fake)), of(fake), Status())  # type: ignore[arg-type]  # the three calls made here
    left = []
    for _ in range(3):
        mine.step()
        left.append(nothing.prunable)
        nothing.prunable += left[-1] == 0
    assert left == [1, 0, 1]


def test_a_slow_look_at_very_many_events_is_followed_by_a_long_pause(
    fake: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = Nothing()

    def pending() -> list[Pending]:
        time.sleep(0.05)
        return [Pending(1, 1, 10**6)]

    monkeypatch.setattr(many, "pending", pending)
    mine = Relay(many, Airflow(of(fake)), of(fake, QUIET_SECONDS="60", POLL_SECONDS="0.2"), Status())  # type: ignore[arg-type]
    assert 0.45 <= mine.step() <= 50


def test_a_paused_dag_is_one_line_in_the_log_and_in_health(fake: FakeAirflow, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fake.paused, status = True, Status()
    mine = Relay(Nothing(), Airflow(of(fake)), of(fake), status)  # type: ignore[arg-type]  # the three calls made here
    for _ in range(3):
        with pytest.raises(DagPaused) as paused:
            mine.step()
        status.trouble(paused.value)
    assert [record.message for record in caplog.records] == [f"dag_paused: {paused.value.message}"]
    code, body = status.health(Backlog(4, 1.5))
    assert (code, body["code"], body["pending_events"]) == (503, "dag_paused", 4)
    assert "unpause it in Airflow" in str(body["reason"])

    fake.paused = False
    mine.step()
    assert status.health(Backlog(0, 0))[0] == 200


def test_an_acceptance_does_not_hide_that_the_dag_is_paused() -> None:
    status = Status()
    status.trouble(DagPaused("paused"))
    status.delivered()
    assert status.health(Backlog(0, 0))[1]["code"] == "dag_paused"
    status.trouble(AirflowUnavailable("away"))
    status.delivered()
    assert status.health(Backlog(0, 0))[0] == 200


def test_health_and_metrics_without_a_database() -> None:
    status, away = Status(), DatabaseUnavailable("The training database fails: gone")
    assert status.health(away)[0] == 503
    text = status.metrics(away).decode()
    assert "training_trigger_pending_events NaN" in text
    assert "training_trigger_healthy 0.0" in text


def test_metrics_count_deliveries_and_failures_by_reason() -> None:
    status = Status()
    status.trouble(DagMissing("no"))
    status.delivered()
    text = status.metrics(Backlog(7, 2.5)).decode()
    for line in (
        "training_trigger_deliveries_total 1.0",
        'training_trigger_failures_total{code="dag_missing"} 1.0',
        "training_trigger_pending_events 7.0",
        "training_trigger_oldest_pending_seconds 2.5",
        "training_trigger_healthy 1.0",
    ):
        assert line in text


@pytest.mark.parametrize("missing", ["DATABASE_URL", "AIRFLOW_URL", "AIRFLOW_USER", "AIRFLOW_PASSWORD"])
def test_missing_settings_are_named(missing: str) -> None:
    given = {"DATABASE_URL": "d", "AIRFLOW_URL": "a", "AIRFLOW_USER": "u", "AIRFLOW_PASSWORD": "p"}
    del given[missing]
    with pytest.raises(SettingError, match=missing):
        Settings.from_env(given)
