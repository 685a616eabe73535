"""What a change of a watched table records."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.relay_service import watched_table

Connection = psycopg.Connection[tuple[object, ...]]
Recorded = list[tuple[str, str, int | None]]


def recorded(connection: Connection) -> Recorded:
    """(table, operation, rows) of all events, then forgets them."""
    events = connection.execute('SELECT "table", operation, rows FROM training_data_coverage ORDER BY event').fetchall()
    connection.execute("DELETE FROM training_event_queue")
    return events  # type: ignore[return-value]  # those columns


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    watched_table(database)
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened


def test_one_event_a_statement_with_its_rows(connection: Connection) -> None:
    connection.execute("INSERT INTO reviews SELECT 'text', i FROM generate_series(1, 5) i")
    with connection.cursor().copy("COPY reviews FROM STDIN") as copy:
        copy.write("a\t6\nb\t7\n")
    connection.execute("UPDATE reviews SET text = 'new' WHERE label > 3")
    connection.execute("DELETE FROM reviews WHERE label = 1")
    connection.execute("TRUNCATE reviews")
    assert recorded(connection) == [
        ("reviews", "INSERT", 5),
        ("reviews", "INSERT", 2),
        ("reviews", "UPDATE", 4),
        ("reviews", "DELETE", 1),
        ("reviews", "TRUNCATE", None),
    ]


def test_statements_that_change_nothing_record_nothing(connection: Connection) -> None:
    connection.execute("CREATE UNIQUE INDEX ON reviews (label)")
    connection.execute("INSERT INTO reviews VALUES ('a', 1)")
    recorded(connection)
    connection.execute("INSERT INTO reviews VALUES ('b', 1) ON CONFLICT DO NOTHING")
    connection.execute("INSERT INTO reviews SELECT 'a', 2 WHERE false")
    connection.execute("UPDATE reviews SET text = 'c' WHERE label = 9")
    connection.execute("DELETE FROM reviews WHERE label = 9")
    assert recorded(connection) == []
    connection.execute("INSERT INTO reviews VALUES ('b', 1) ON CONFLICT (label) DO UPDATE SET text = 'b'")
    assert recorded(connection) == [("reviews", "UPDATE", 1)]


def test_rolled_back_changes_leave_no_event(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("INSERT INTO reviews VALUES ('a', 1)")
    with connection.transaction():
        connection.execute("INSERT INTO reviews VALUES ('a', 1), ('b', 2)")
        with connection.transaction(force_rollback=True):  # a savepoint
            connection.execute("INSERT INTO reviews VALUES ('c', 3)")
        connection.execute("INSERT INTO reviews VALUES ('d', 4)")
    assert recorded(connection) == [("reviews", "INSERT", 2), ("reviews", "INSERT", 1)]


def test_a_trigger_that_inserts_again_loses_no_event(connection: Connection) -> None:
    connection.execute(
        "CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO reviews SELECT 'echo', 0 WHERE NEW.label = 1; RETURN NULL; END $$"
    )
    connection.execute("CREATE TRIGGER echo AFTER INSERT ON reviews FOR EACH ROW EXECUTE FUNCTION echo()")
    connection.execute("INSERT INTO reviews VALUES ('a', 2)")  # its echo inserts no row, but took its note
    assert recorded(connection) == [("reviews", "INSERT", None)]
    connection.execute("INSERT INTO reviews VALUES ('a', 1)")  # its echo inserts one
    assert [operation for _, operation, _ in recorded(connection)] == ["INSERT", "INSERT"]


def test_an_insert_within_an_insert_is_an_event_of_its_own(connection: Connection) -> None:
    connection.execute(
        "CREATE FUNCTION more(wanted int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO reviews SELECT 'more', 0 FROM generate_series(1, wanted); RETURN wanted; END $$"
    )
    connection.execute("SELECT more(2), more(3)")
    assert recorded(connection) == [("reviews", "INSERT", 2), ("reviews", "INSERT", 3)]
    connection.execute("INSERT INTO reviews SELECT 'outer', i FROM generate_series(0, 1) i WHERE more(i) = 0")
    # Of the outer statement's rows, those after the last inner statement are counted.
    assert recorded(connection) == [("reviews", "INSERT", 1), ("reviews", "INSERT", 1)]


def test_a_statement_that_fails_and_is_caught_counts_for_nothing(connection: Connection) -> None:
    connection.execute(
        "DO $$ BEGIN"
        " BEGIN INSERT INTO reviews VALUES ('a', 1), ('b', 2); RAISE 'no'; EXCEPTION WHEN OTHERS THEN NULL; END;"
        " INSERT INTO reviews VALUES ('c', 3);"
        " INSERT INTO reviews SELECT 'd', 4 WHERE false; END $$"
    )
    assert recorded(connection) == [("reviews", "INSERT", 1)]
    with connection.transaction():
        connection.execute("INSERT INTO reviews VALUES ('a', 1)")
        with connection.transaction(force_rollback=True):
            connection.execute("TRUNCATE reviews")
            connection.execute("INSERT INTO reviews VALUES ('b', 2), ('c', 3)")
        connection.execute("TRUNCATE reviews")
        connection.execute("INSERT INTO reviews VALUES ('b', 2), ('c', 3)")
    assert recorded(connection) == [("reviews", "INSERT", 1), ("reviews", "TRUNCATE", None), ("reviews", "INSERT", 2)]


def test_merge_conflicts_and_rows_that_a_trigger_leaves_out(connection: Connection) -> None:
    connection.execute("CREATE UNIQUE INDEX ON reviews (label)")
    connection.execute("INSERT INTO reviews VALUES ('a', 1), ('b', 2)")
    recorded(connection)
    connection.execute(
        "MERGE INTO reviews USING generate_series(1, 5) AS new (label) ON reviews.label = new.label"
        " WHEN MATCHED AND new.label = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET text = 'c'"
        " WHEN NOT MATCHED THEN INSERT VALUES ('d', new.label)"
    )
    merged = [("reviews", "DELETE", 1), ("reviews", "INSERT", 3), ("reviews", "UPDATE", 1)]
    assert sorted(recorded(connection)) == merged
    connection.execute("INSERT INTO reviews VALUES ('e', 5), ('f', 6) ON CONFLICT (label) DO UPDATE SET text = 'e'")
    assert sorted(recorded(connection)) == [("reviews", "INSERT", 1), ("reviews", "UPDATE", 1)]
    connection.execute(
        "CREATE FUNCTION only_even() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN CASE WHEN NEW.label % 2 = 0 THEN NEW END; END $$"
    )
    connection.execute("CREATE TRIGGER only_even BEFORE INSERT ON reviews FOR EACH ROW EXECUTE FUNCTION only_even()")
    connection.execute("INSERT INTO reviews VALUES ('g', 7), ('h', 8)")
    connection.execute("INSERT INTO reviews VALUES ('i', 9)")
    assert recorded(connection) == [("reviews", "INSERT", 1)]


def test_what_foreign_keys_change_is_recorded(connection: Connection) -> None:
    connection.execute("CREATE TABLE films (id int PRIMARY KEY)")
    connection.execute(
        "ALTER TABLE reviews ADD FOREIGN KEY (label) REFERENCES films ON DELETE CASCADE ON UPDATE CASCADE"
    )
    connection.execute("INSERT INTO films VALUES (1), (2)")
    connection.execute("INSERT INTO reviews VALUES ('a', 1), ('b', 1), ('c', 2)")
    connection.execute("UPDATE films SET id = id + 10")
    connection.execute("DELETE FROM films")
    connection.execute("TRUNCATE films CASCADE")
    assert recorded(connection) == [
        ("reviews", "INSERT", 3),
        ("reviews", "UPDATE", 3),
        ("reviews", "DELETE", 3),
        ("reviews", "TRUNCATE", None),
    ]


def test_two_tables_in_one_statement(database: str, connection: Connection) -> None:
    watched_table(database, "others")
    connection.execute(
        "WITH first AS (INSERT INTO reviews VALUES ('a', 1), ('b', 2) RETURNING *)"
        " INSERT INTO others SELECT * FROM first WHERE label = 1"
    )
    # There is one note at a time, so the first table's rows are not counted.
    assert sorted(recorded(connection)) == [("others", "INSERT", None), ("reviews", "INSERT", 2)]


def test_inserts_count_even_where_the_server_keeps_no_counters(
    connection: Connection,
) -> None:
    connection.execute("SET track_counts = off")
    connection.execute("INSERT INTO reviews VALUES ('a', 1)")
    assert recorded(connection) == [("reviews", "INSERT", None)]


def test_schemas_and_quoted_names(connection: Connection) -> None:
    connection.execute('CREATE SCHEMA "My ""data"""')
    table = sql.Identifier('My "data"', "T; x")
    connection.execute(sql.SQL("CREATE TABLE {} (a int)").format(table))
    name = table.as_string(connection)
    connection.execute("SELECT watch_training_table(%s)", [name])
    connection.execute(sql.SQL("INSERT INTO {} VALUES (1)").format(table))
    assert recorded(connection) == [(name, "INSERT", 1)]
    assert connection.execute("SELECT %s::regclass::text", [name]).fetchone() == (name,)


def test_partitions(connection: Connection) -> None:
    connection.execute("CREATE TABLE parts (a int) PARTITION BY RANGE (a)")
    connection.execute("CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (10)")
    connection.execute("CREATE TABLE high PARTITION OF parts FOR VALUES FROM (10) TO (20)")
    connection.execute("SELECT watch_training_table('parts')")
    connection.execute("INSERT INTO parts VALUES (1), (11)")
    with connection.cursor().copy("COPY parts FROM STDIN") as copy:
        copy.write("2\n12\n13\n")
    connection.execute("INSERT INTO low VALUES (3)")
    connection.execute("UPDATE parts SET a = a + 1 WHERE a = 3")
    connection.execute("DELETE FROM parts")
    connection.execute("TRUNCATE parts")
    connection.execute("TRUNCATE high")
    assert recorded(connection) == [
        ("parts", "INSERT", 2),
        ("parts", "INSERT", 3),
        ("parts", "INSERT", 1),
        ("parts", "UPDATE", 1),
        ("parts", "DELETE", 6),
        ("parts", "TRUNCATE", None),
        ("parts", "TRUNCATE", None),
    ]
    connection.execute("SELECT unwatch_training_table('parts')")
    connection.execute("INSERT INTO low VALUES (3)")
    assert recorded(connection) == []


def test_watching_twice_records_once_and_unwatching_stops(
    connection: Connection,
) -> None:
    connection.execute("SELECT watch_training_table('reviews')")
    connection.execute("INSERT INTO reviews VALUES ('a', 1)")
    assert recorded(connection) == [("reviews", "INSERT", 1)]
    for _ in range(2):
        connection.execute("SELECT unwatch_training_table('reviews')")
    connection.execute("INSERT INTO reviews VALUES ('a', 1)")
    assert recorded(connection) == []


def test_a_writer_needs_no_right_but_to_write(connection: Connection) -> None:
    connection.execute("DROP ROLE IF EXISTS writer")
    connection.execute("CREATE ROLE writer")
    connection.execute("GRANT INSERT ON reviews TO writer")
    try:
        connection.execute("SET ROLE writer")
        connection.execute("SET search_path = pg_temp")
        connection.execute("INSERT INTO public.reviews VALUES ('a', 1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM public.training_events")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT public.watch_training_table('public.reviews')")
        connection.execute("RESET ROLE; RESET search_path")
        assert recorded(connection) == [("reviews", "INSERT", 1)]
    finally:
        connection.execute("RESET ROLE; DROP OWNED BY writer; DROP ROLE writer")


def test_functions_of_others_do_not_stand_in_for_the_servers(connection: Connection) -> None:
    # Where a call is not qualified, one that fits its types better is taken from anywhere in the search_path.
    for name, types in {
        "concat": "text, oid",
        "set_config": "text, text, boolean",
        "current_setting": "text, boolean",
        "pg_stat_get_xact_tuples_inserted": "oid",
    }.items():
        connection.execute(
            f"CREATE FUNCTION public.{name}({types}) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'taken'; END $$"
        )
    connection.execute(
        "CREATE FUNCTION taken(text, oid) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'taken'; END $$"
    )
    connection.execute("CREATE OPERATOR || (FUNCTION = taken, LEFTARG = text, RIGHTARG = oid)")
    for path in ("public", "public, pg_catalog"):
        connection.execute(f"SET search_path = {path}")
        connection.execute("INSERT INTO reviews VALUES ('a', 1)")
    assert recorded(connection) == [("reviews", "INSERT", 1)] * 2


def test_the_platform_role_watches_its_own_tables_only(connection: Connection) -> None:
    connection.execute("CREATE TABLE others (a int); SET ROLE platform")
    connection.execute("CREATE TABLE datasets.imported (a int)")
    connection.execute("SELECT watch_training_table('datasets.imported')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT watch_training_table('others')")


@pytest.mark.parametrize("table", ["training_jobs", "training_event_queue", "promotion_ledger", "training_events"])
def test_what_is_no_training_table_is_refused(connection: Connection, table: str) -> None:
    with pytest.raises(psycopg.Error, match=r"watch a table of training rows|is not a lasting table"):
        connection.execute("SELECT watch_training_table(%s)", [table])


def test_a_temporary_table_is_refused(connection: Connection) -> None:
    connection.execute("CREATE TEMPORARY TABLE mine (a int)")
    with pytest.raises(psycopg.Error, match="not a lasting table"):
        connection.execute("SELECT watch_training_table('mine')")


@pytest.mark.parametrize(
    "change", ["UPDATE promotion_ledger SET who = ''", "DELETE FROM promotion_ledger", "TRUNCATE promotion_ledger"]
)
def test_the_ledger_only_grows_even_for_the_superuser(connection: Connection, change: str) -> None:
    connection.execute(
        "INSERT INTO promotion_ledger (who, model_name, verdict, reason) VALUES ('me', 'model', 'better', 'so')"
    )
    with pytest.raises(psycopg.Error, match="append-only"):
        connection.execute(change)
