"""Whatever happens, in any order: every committed event ends in exactly one accepted run, none from a rollback."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from mlops_contract.errors import PlatformError
from tests import fake_airflow
from tests.fake_airflow import BROKEN, LOST, FakeAirflow
from tests.relay_service import assert_each_event_in_one_run, settings, watched_table
from training_trigger.airflow import Airflow
from training_trigger.events import Delivery, Events, connect
from training_trigger.relay import Relay
from training_trigger.settings import Settings
from training_trigger.status import Status

WRITERS = st.integers(0, 2)
CALLS = ("claimed", "pending", "claim", "start_run", "accepted", "failed")
# 409 is not planned: the fake says it by itself, when it is true.
ANSWERS = (LOST, BROKEN, 401, 403, 404, 422, 429, 500)


class Crash(BaseException):
    """The relay's process is gone; nothing of it runs after this, so nothing may catch it."""


class At:
    """A part of the relay to which something happens before or after one of its calls."""

    def __init__(self, part: object, call: str, after: bool, happens: Callable[[], None]) -> None:
        self._part, self._call, self._after, self._happens = part, call, after, happens

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        if name != self._call:
            return method

        def wrapped(*arguments: object) -> object:
            if not self._after:
                self._happens()
            result = method(*arguments)
            if self._after:
                self._happens()
            return result

        return wrapped


def die() -> None:
    raise Crash


class World(RuleBasedStateMachine):
    """Three writers, relays that ignore each other's lock, one Airflow, a real database."""

    database: str
    fake: FakeAirflow

    @initialize()
    def empty(self) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("TRUNCATE reviews")
            connection.execute(
                "TRUNCATE training_event_queue, training_event_history, training_deliveries RESTART IDENTITY"
            )
        self.fake.reset()
        self.writers = [psycopg.connect(self.database) for _ in range(3)]
        self.open = [0, 0, 0]  # events of each writer's open transaction
        self.committed = 0

    @rule(writer=WRITERS, rows=st.integers(0, 3))
    def insert(self, writer: int, rows: int) -> None:
        done = self.writers[writer].execute(
            "INSERT INTO reviews SELECT 'text', %s FROM generate_series(1, %s)", [writer, rows]
        )
        self.open[writer] += done.rowcount > 0

    @rule(writer=WRITERS, statement=st.sampled_from(["UPDATE reviews SET text = 'new'", "DELETE FROM reviews"]))
    def change(self, writer: int, statement: str) -> None:
        done = self.writers[writer].execute(f"{statement} WHERE label = %s", [writer])
        self.open[writer] += done.rowcount > 0

    @rule(writer=WRITERS)
    def insert_and_take_back(self, writer: int) -> None:
        with self.writers[writer].transaction(force_rollback=True):
            self.writers[writer].execute("INSERT INTO reviews VALUES ('text', %s)", [writer])

    @rule(writer=WRITERS)
    def commit(self, writer: int) -> None:
        self.writers[writer].commit()
        self.committed += self.open[writer]
        self.open[writer] = 0

    @rule(writer=WRITERS)
    def rollback(self, writer: int) -> None:
        self.writers[writer].rollback()
        self.open[writer] = 0

    @rule(writer=WRITERS)
    def writer_dies(self, writer: int) -> None:
        self.writers[writer].close()
        self.writers[writer] = psycopg.connect(self.database)
        self.open[writer] = 0

    @rule(answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=3))
    def airflow_will_answer(self, answers: list[int]) -> None:
        self.fake.planned.extend(answers)

    @rule()
    def airflow_forgets_its_tokens(self) -> None:
        self.fake.token += 1

    @rule(paused=st.booleans())
    def airflow_pauses(self, paused: bool) -> None:
        self.fake.paused = paused

    @rule(queued=st.booleans())
    def airflow_queue(self, queued: bool) -> None:
        self.fake.queued = {"one"} if queued else set()

    @rule()
    def relay_works(self) -> None:
        self.live()

    @rule(call=st.sampled_from(CALLS), after=st.booleans())
    def relay_dies(self, call: str, after: bool) -> None:
        self.live(call, after, die)

    @rule(call=st.sampled_from(CALLS), after=st.booleans())
    def another_relay_works_meanwhile(self, call: str, after: bool) -> None:
        self.live(call, after, self.live)

    @precondition(lambda self: self.fake.runs)
    @rule()
    def run_is_posted_again(self) -> None:
        self.fake.planned.clear()
        for run, conf in list(self.fake.runs.items()):
            Airflow(self.settings()).start_run(Delivery(run, conf))

    def live(self, call: str = "", after: bool = False, happens: Callable[[], None] = die) -> None:
        """A relay starts, takes some steps and ends; at `call`, where given, something `happens`."""
        chosen = self.settings()
        with connect(self.database) as connection:
            events: Any = At(Events(connection), call, after, happens)
            airflow: Any = At(Airflow(chosen), call, after, happens)
            relay = Relay(events, airflow, chosen, Status())
            with suppress(Crash):
                for _ in range(3):
                    with suppress(PlatformError):
                        relay.step()

    def settings(self) -> Settings:
        again = {"RETRY_RUN_SECONDS": "0", "RUN_ATTEMPTS": "1000"}  # what Airflow refused is claimed anew
        return settings(self.database, self.fake.url, fake_airflow.USER, fake_airflow.PASSWORD, **again)

    def teardown(self) -> None:
        if not hasattr(self, "writers"):
            return
        for writer in self.writers:
            writer.close()
        self.fake.planned.clear()
        self.fake.queued.clear()
        self.fake.paused = False
        self.fake.states = dict.fromkeys(self.fake.runs, "success")  # what was refused meanwhile waited for them
        for _ in range(3):
            self.live()
        assert_each_event_in_one_run(self.database, self.fake.runs, self.committed)
        assert sum(conf["events"] for conf in self.fake.runs.values()) == self.committed


def test_every_committed_event_ends_in_exactly_one_run(database: str) -> None:
    watched_table(database)
    with fake_airflow.serve() as fake:
        World.database, World.fake = database, fake
        run_state_machine_as_test(
            World,
            settings=hypothesis_settings(
                max_examples=40,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.reuse, Phase.generate],  # shrinking takes longer than a test may
            ),
        )
