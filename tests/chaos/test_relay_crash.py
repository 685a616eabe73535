"""The relay and PostgreSQL are killed under a load of inserts: every committed event is in exactly one accepted run."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg

from tests import fake_airflow, services
from tests.fake_airflow import FakeAirflow
from tests.relay_service import assert_each_event_in_one_run, environment, relay_process, watched_table

WRITERS = 4
KILLS = [{"relay"}, {"postgres"}, {"relay", "postgres"}, {"postgres"}, {"relay", "postgres"}]


@dataclass
class Written:
    """One writer's statements, by the text that each inserts, as far as it heard of them."""

    committed: set[str] = field(default_factory=set)
    undone: set[str] = field(default_factory=set)
    """Rolled back, or never sent a COMMIT."""
    unknown: set[str] = field(default_factory=set)
    """The server died before it answered the COMMIT."""
    errors: int = 0


def write(database: str, name: str, stop: threading.Event) -> Written:
    """Transactions, one after the other, over a new connection whenever the last one broke."""
    written, chance = Written(), random.Random(name)
    while not stop.is_set():
        try:
            with psycopg.connect(database) as connection:
                while not stop.is_set():
                    transact(connection, name, written, chance)
        except psycopg.OperationalError:
            written.errors += 1
            time.sleep(0.02)
    return written


def transact(connection: psycopg.Connection, name: str, written: Written, chance: random.Random) -> None:
    """Up to three INSERTs, of which savepoints take some back, then COMMIT or ROLLBACK."""
    kept = set()
    for _ in range(chance.randint(1, 3)):
        text = f"{name} {len(written.committed) + len(written.undone) + len(written.unknown)}"
        written.undone.add(text)
        connection.execute("SAVEPOINT before")
        rows = chance.randint(1, 3)
        connection.execute("INSERT INTO reviews SELECT %s, 0 FROM generate_series(1, %s)", [text, rows])
        if chance.random() < 0.2:
            connection.execute("ROLLBACK TO before")
        else:
            kept.add(text)
    if chance.random() < 0.2:
        connection.rollback()
        return
    written.undone -= kept
    written.unknown |= kept
    connection.commit()
    written.unknown -= kept
    written.committed |= kept


def posted(fake: FakeAirflow, times: int) -> bool:
    return fake.posts >= times


def test_kills_of_relay_and_database_lose_and_double_nothing(tmp_path: Path) -> None:
    cluster, log, stop = tmp_path / "postgres", tmp_path / "relay.log", threading.Event()
    exits = []
    with ExitStack() as stack:
        database = stack.enter_context(services.postgres(cluster))
        fake = stack.enter_context(fake_airflow.serve())
        services.apply_schema(database)
        watched_table(database)
        variables = environment(database, fake.url, fake_airflow.USER, fake_airflow.PASSWORD)
        pool = stack.enter_context(ThreadPoolExecutor(WRITERS))
        stack.callback(stop.set)
        writers = [pool.submit(write, database, f"writer {number}", stop) for number in range(WRITERS)]

        relays = stack.enter_context(ExitStack())
        relay = relays.enter_context(relay_process(variables, log))
        for killed in KILLS:
            # Right after a POST: most likely before the relay could note that it was accepted.
            services.wait_until("runs are posted", partial(posted, fake, fake.posts + 4), interval=0.001)
            if "relay" in killed:
                relay.child.kill()
            if "postgres" in killed:
                services.kill_postgres(cluster)
                services.start_postgres(cluster)
            if "relay" in killed:
                exits.append(relay.child.wait())
                relays.close()
                relay = relays.enter_context(relay_process(variables, log))
        stop.set()
        histories = [writer.result() for writer in writers]
        services.wait_until("all is delivered", relay.delivered)

        with psycopg.connect(database) as connection:
            found: dict[str, int] = dict(
                connection.execute("SELECT text, count(*) FROM reviews GROUP BY text").fetchall()
            )
            counts = [row[0] for row in connection.execute("SELECT rows FROM training_events").fetchall()]
        assert_each_event_in_one_run(database, fake.runs, len(found))

    for one in histories:
        assert one.committed <= found.keys(), "a committed row is lost"
        assert not one.undone & found.keys(), "a row that was taken back is there"
    assert sorted(counts) == sorted(found.values()), "an event counts other rows than its statement inserted"
    assert sum(conf["rows"] for conf in fake.runs.values()) == sum(found.values())

    crashes = sum("postgres" in killed for killed in KILLS)
    assert exits == [-9] * sum("relay" in killed for killed in KILLS)
    assert all(one.errors >= crashes for one in histories), "a writer did not notice a crash"
    assert (cluster / "log").read_text().count("automatic recovery in progress") == crashes
    assert "database_unavailable" in log.read_text(), "no relay outlived a crash of the database"
