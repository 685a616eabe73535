"""A role that may insert into one watched table: whatever it sets, its rows are an event, and the relay goes on."""

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from tests.database_roles import Connection, connected, url_of, writer_of
from training_trigger.events import Events, connect

FUNCTIONS = """
CREATE FUNCTION pg_temp.note(name text, value text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    RETURN set_config(name, value, true); EXCEPTION WHEN OTHERS THEN RETURN 'denied'; END $$;
CREATE FUNCTION pg_temp.reset() RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'RESET ALL'; RETURN ''; END $$;
CREATE FUNCTION pg_temp.failing() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO datasets.reviews VALUES ('inner', 0); RAISE 'no'; EXCEPTION WHEN OTHERS THEN RETURN ''; END $$;
CREATE FUNCTION pg_temp.nothing() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO datasets.reviews SELECT 'inner', 0 WHERE false; RETURN ''; END $$;
CREATE FUNCTION pg_temp.one() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO datasets.reviews VALUES ('inner', 0); RETURN ''; END $$;
CREATE FUNCTION pg_temp.partly() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO datasets.reviews VALUES ('inner', 0);
    BEGIN INSERT INTO datasets.reviews VALUES ('undone', 0); RAISE 'no'; EXCEPTION WHEN OTHERS THEN RETURN ''; END;
    END $$;
CREATE FUNCTION pg_temp.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT '0' $$;
CREATE TEMP TABLE training_event_queue (id int, table_name text, operation text, rows bigint);
CREATE TEMP TABLE changed (a int);
"""
NEW = "INSERT INTO datasets.reviews SELECT 'hidden' || {}, 1 FROM generate_series(1, 3) i"
ATTACKS = {
    "the note of old, raised": NEW.format("set_config('training.inserted_{oid}', '3', true)"),
    "the note of old, hugely negative": NEW.format(
        "set_config('training.inserted_{oid}', '-9000000000000000000', true)"
    ),
    "the note of old, no number": NEW.format("set_config('training.inserted_{oid}', 'x', false)"),
    "the note itself": NEW.format("pg_temp.note('backtrace_functions', ({oid}::bigint * 2147483648 + i)::text)"),
    "the note itself, for the session": "SET backtrace_functions = '1'; " + NEW.format("''"),
    "everything reset": NEW.format("pg_temp.reset()"),
    "everything reset after the last row": "INSERT INTO datasets.reviews VALUES ('a', 1) RETURNING pg_temp.reset()",
    "a failing INSERT inside": NEW.format("pg_temp.failing()"),
    "a failing INSERT after the last row": "INSERT INTO datasets.reviews VALUES ('a', 1) RETURNING pg_temp.failing()",
    "an empty INSERT inside": NEW.format("pg_temp.nothing()"),
    "an empty INSERT after the last row": "INSERT INTO datasets.reviews VALUES ('a', 1) RETURNING pg_temp.nothing()",
    "an INSERT inside": NEW.format("pg_temp.one()"),
    "an INSERT after the last row": "INSERT INTO datasets.reviews VALUES ('a', 1) RETURNING pg_temp.one()",
    "half an INSERT after the last row": "INSERT INTO datasets.reviews VALUES ('a', 1) RETURNING pg_temp.partly()",
    "two INSERTs in one statement": (
        "WITH a AS (INSERT INTO datasets.reviews VALUES ('a', 1) RETURNING 1)"
        " INSERT INTO datasets.reviews SELECT 'b', 1 WHERE false"
    ),
    "names that stand in": "SET search_path = pg_temp; INSERT INTO datasets.reviews VALUES ('a', 1)",
    "no counters": "SET track_counts = off; INSERT INTO datasets.reviews VALUES ('a', 1)",
    "as a replica": "SET session_replication_role = replica; INSERT INTO datasets.reviews VALUES ('a', 1)",
    "counters reset": NEW.format("pg_stat_reset_single_table_counters({oid})"),
    "counters written down": NEW.format("pg_stat_force_next_flush()"),
    "strange formats": (
        "SET bytea_output = escape; SET intervalstyle = iso_8601; SET lc_numeric = 'C'; SET timezone = 'UTC';"
        " INSERT INTO datasets.reviews VALUES ('a', 1)"
    ),
    "a savepoint": (
        "BEGIN; INSERT INTO datasets.reviews VALUES ('a', 1); SAVEPOINT s;"
        " INSERT INTO datasets.reviews VALUES ('b', 1);"
        " ROLLBACK TO s; INSERT INTO datasets.reviews SELECT 'c', 1 WHERE false; COMMIT"
    ),
    "a merge": (
        "MERGE INTO datasets.reviews r USING (SELECT set_config('training.inserted_{oid}', '9', true) AS t) n"
        " ON false WHEN NOT MATCHED THEN INSERT VALUES (n.t, 1)"
    ),
    "a prepared statement": "PREPARE p AS "
    + NEW.format("set_config('training.inserted_{oid}', '9', true)")
    + "; EXECUTE p",
    "a block": (
        "DO $$ BEGIN INSERT INTO datasets.reviews VALUES ('a', 1);"
        " PERFORM set_config('training.inserted_{oid}', '99', true);"
        " INSERT INTO datasets.reviews VALUES ('b', 1); END $$"
    ),
}


@pytest.fixture
def writer(database: str) -> Iterator[Connection]:
    with writer_of(database) as role, connected(database, role) as connection:
        connection.execute(FUNCTIONS)
        yield connection


def rows_and_events(database: str) -> tuple[int, list[int | None]]:
    with connected(database) as owner:
        count = owner.execute("SELECT count(*) FROM datasets.reviews").fetchone()
        events = owner.execute("SELECT rows FROM public.training_events ORDER BY id").fetchall()
    assert count is not None
    return int(str(count[0])), [row[0] for row in events]  # type: ignore[misc]  # bigints


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_no_row_is_hidden_and_no_count_forged(database: str, writer: Connection, attack: str) -> None:
    with connected(database) as owner:
        oid = owner.execute("SELECT 'datasets.reviews'::regclass::oid").fetchone()
        owner.execute(f"GRANT SELECT ON datasets.reviews TO {writer.info.user}")
    assert oid is not None
    with suppress(psycopg.Error):
        writer.execute(attack.replace("{oid}", str(oid[0])))
    rows, events = rows_and_events(database)
    assert (rows > 0) == bool(events), "hidden rows, or an event without any"
    assert all(count is None or 1 <= count <= 2 * rows for count in events), "a failing INSERT's rows may count too"
    with connect(url_of(database, "platform")) as connection:
        relay = Events(connection)
        relay.sort()
        pending, delivery = relay.pending(), relay.claim("reviews")
    assert bool(pending) == (delivery is not None) == bool(events)


def test_a_statement_that_only_pretends_is_no_event(database: str, writer: Connection) -> None:
    writer.execute("INSERT INTO datasets.reviews VALUES ('a', 1)")
    for _ in range(3):
        writer.execute("INSERT INTO datasets.reviews SELECT pg_temp.note('training.inserted_1', '-5'), 1 WHERE false")
    assert rows_and_events(database) == (1, [1])


def test_copy_is_counted_whatever_its_condition_does(database: str, writer: Connection) -> None:
    with writer.cursor().copy("COPY datasets.reviews FROM STDIN WHERE pg_temp.reset() = ''") as copy:
        copy.write("a\t1\nb\t2\n")
    assert rows_and_events(database) == (2, [None])


def test_truncating_a_partitioned_table_cannot_be_hidden(database: str, writer: Connection) -> None:
    with connected(database, "platform") as platform:
        platform.execute("CREATE TABLE datasets.parts (a int) PARTITION BY RANGE (a)")
        platform.execute("CREATE TABLE datasets.low PARTITION OF datasets.parts FOR VALUES FROM (0) TO (10)")
        platform.execute("SELECT watch_training_table('datasets.parts')")
        platform.execute(f"GRANT TRUNCATE ON datasets.parts, datasets.low TO {writer.info.user}")
    writer.execute(
        "DO $$ BEGIN PERFORM set_config('training.truncated', 'datasets.parts'::regclass::oid || ' ' ||"
        " statement_timestamp(), true); EXECUTE 'TRUNCATE datasets.parts'; END $$"
    )
    with connected(database) as owner:
        events = owner.execute("SELECT table_name, operation FROM public.training_events").fetchall()
    assert events == [("parts", "TRUNCATE")]


def test_sums_beyond_any_count_stop_nothing(database: str, writer: Connection) -> None:
    with connected(database) as owner:  # as an earlier schema let writers make them
        owner.execute(
            "INSERT INTO public.training_event_queue (table_name, operation, rows)"
            " SELECT 'reviews', 'INSERT', n FROM unnest(ARRAY[9e18, 9e18, -9e18, 0]::bigint[]) n"
        )
    with connect(url_of(database, "platform")) as connection:
        relay = Events(connection)
        relay.sort()
        (pending,) = relay.pending()
        assert pending.rows > 0
        delivery = relay.claim("reviews")
        assert delivery is not None and delivery.conf["rows"] == 18 * 10**18
        assert relay.backlog().events == 4


def test_advisory_locks_hold_nobody_up(database: str, writer: Connection) -> None:
    for key in (9997, 7314001, 7314002):
        writer.execute("SELECT pg_advisory_lock(%s)", [key])
    with connect(url_of(database, "platform")) as connection:
        assert Events(connection).lead()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM public.training_event_queue",
        "DELETE FROM public.training_event_queue",
        "INSERT INTO public.training_event_queue (table_name, operation) VALUES ('x', 'INSERT')",
        "SELECT public.watch_training_table('datasets.reviews')",
        "SELECT public.record_training_event()",
        "SELECT public.note_training_insert()",
        "SET backtrace_functions = '1'",
        "CREATE TABLE public.mine (a int)",
        "CREATE TABLE datasets.mine (a int)",
        "CREATE SCHEMA mine",
        "BEGIN; LOCK TABLE public.training_leader IN ACCESS SHARE MODE",
        "BEGIN; LOCK TABLE public.classifiers IN ACCESS SHARE MODE",
        "CREATE TRIGGER mine BEFORE INSERT ON datasets.reviews EXECUTE FUNCTION public.record_training_insert()",
        "ALTER TABLE datasets.reviews DISABLE TRIGGER training_event_insert",
        "ALTER TABLE datasets.reviews DISABLE TRIGGER ALL",
        "DROP TRIGGER training_event_insert ON datasets.reviews",
        "CREATE RULE mine AS ON INSERT TO datasets.reviews DO INSTEAD NOTHING",
        "CREATE TABLE pg_temp.child () INHERITS (datasets.reviews)",
        "CREATE POLICY mine ON datasets.reviews USING (true)",
        "SET ROLE training_recorder",
        "SET ROLE platform",
    ],
)
def test_a_writer_may_only_write(writer: Connection, statement: str) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.WrongObjectType)):
        writer.execute(statement)
