"""The role of the services: whatever it leaves in the database, a start gives it no more rights and is not stopped."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import psycopg
import pytest

from tests import services
from tests.database_roles import Connection, connected, is_superuser

_numbers = count()

EVIL = "RETURNS {} LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE platform SUPERUSER; RETURN NULL; END $$"
VOID = "RETURNS void LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE platform SUPERUSER; END $$"
BAIT = (
    "CREATE TABLE bait (text text);"
    "CREATE TRIGGER training_event_insert AFTER INSERT ON bait FOR EACH STATEMENT"
    " EXECUTE FUNCTION public.record_training_event('x')"
)
# Left behind in the schema where platform may create things; SCHEMA stands for it.
TRAPS = {
    "an overload that fits better": f"{BAIT}; CREATE FUNCTION SCHEMA.watch_training_table(oid) {VOID}",
    "an overload that makes a name ambiguous": f"CREATE FUNCTION SCHEMA.record_training_event(int) {VOID}",
    "overloads of all names": "".join(
        f"CREATE FUNCTION SCHEMA.{name}(text) {VOID};"
        for name in ("note_training_insert", "record_training_insert", "unwatch_training_table", "refuse_ledger_change")
    ),
    "functions of the server": "".join(
        f"CREATE FUNCTION SCHEMA.{name}({types}) {EVIL.format('text')};"
        for name, types in {"format": "text, name", "set_config": "text, text, text", "to_regclass": "text"}.items()
    ),
    "an operator": (
        f"CREATE FUNCTION SCHEMA.same(name, text) {EVIL.format('boolean')};"
        "CREATE OPERATOR SCHEMA.= (FUNCTION = SCHEMA.same, LEFTARG = name, RIGHTARG = text)"
    ),
    "a view with the trigger": (
        "CREATE TABLE under (a int); CREATE VIEW over AS SELECT * FROM under;"
        "CREATE TRIGGER training_event_insert AFTER INSERT ON over FOR EACH STATEMENT"
        " EXECUTE FUNCTION public.record_training_event('x')"
    ),
    "a trigger of the same name": (
        "CREATE TABLE bait (a int); CREATE CONSTRAINT TRIGGER training_event_insert AFTER INSERT ON bait"
        " FOR EACH ROW EXECUTE FUNCTION public.record_training_event('x')"
    ),
    "tables of the platform's names": (
        f"CREATE FUNCTION SCHEMA.fired() {EVIL.format('trigger')};"
        "CREATE TABLE SCHEMA.training_schema (migration text PRIMARY KEY, applied_at timestamptz);"
        "CREATE TRIGGER t BEFORE INSERT ON SCHEMA.training_schema FOR EACH ROW EXECUTE FUNCTION SCHEMA.fired();"
        "CREATE TABLE SCHEMA.training_untrained (a int); CREATE TABLE SCHEMA.training_leader (a int)"
    ),
    "a view of a platform's name": (
        f"CREATE FUNCTION SCHEMA.f() {VOID}; CREATE VIEW SCHEMA.training_backlog AS SELECT SCHEMA.f()"
    ),
    "a type of a platform's name": "CREATE DOMAIN SCHEMA.training_leader AS int",
    "a type of the server's name": "CREATE DOMAIN SCHEMA.regclass AS text; CREATE DOMAIN SCHEMA.oid AS text",
    "a casting function": f"CREATE FUNCTION SCHEMA.regclass(text) {EVIL.format('regclass')}",
    "an index with a function": (
        "CREATE TABLE bait (a int); CREATE FUNCTION SCHEMA.f(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
        " $$ BEGIN EXECUTE 'ALTER ROLE platform SUPERUSER'; RETURN 1; EXCEPTION WHEN OTHERS THEN RETURN 1; END $$;"
        "CREATE INDEX ON bait (SCHEMA.f(a)); SELECT public.watch_training_table('bait'); INSERT INTO bait VALUES (1)"
    ),
}


@pytest.fixture
def fresh(postgres_server: str) -> Iterator[str]:
    """A database of this test's own, with the schema applied as at a start."""
    url = services.new_database(postgres_server, f"roles_{next(_numbers)}")
    services.apply_schema(url)
    yield url
    with connected(url) as owner:
        owner.execute("ALTER ROLE platform NOSUPERUSER")


@pytest.fixture
def earlier(postgres_server: str) -> Iterator[str]:
    """One of the first schema, in which platform may create in `public`."""
    url = services.new_database(postgres_server, f"roles_{next(_numbers)}")
    with connected(url) as owner:
        owner.execute((services.ROOT / "tests/schemas/05d335c.sql").read_text())
    yield url
    with connected(url) as owner:
        owner.execute("ALTER ROLE platform NOSUPERUSER")


def start_again(database: str) -> None:
    """The schema is applied twice, and everything still works."""
    for _ in range(2):
        services.apply_schema(database)
    assert not is_superuser(database)
    with connected(database, "platform") as platform:
        platform.execute("CREATE TABLE good (text text); SELECT public.watch_training_table('good')")
        platform.execute("INSERT INTO good VALUES ('a')")
        events = platform.execute(
            "SELECT operation, rows FROM public.training_events WHERE table_name = 'good'"
        ).fetchall()
        assert events == [("INSERT", 1)]
        assert platform.execute("SELECT * FROM public.training_backlog").fetchall() == []
    with connected(database) as owner:
        owner.execute("SELECT watch_training_table('datasets.good')")  # as an administrator types it
    assert not is_superuser(database)


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS.keys())
def test_a_start_survives_what_platform_leaves_in_its_schema(fresh: str, trap: str) -> None:
    with connected(fresh, "platform") as platform, suppress(psycopg.Error):
        platform.execute(trap.replace("SCHEMA", "datasets"))
    start_again(fresh)


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS.keys())
def test_a_start_survives_what_platform_left_in_public_before(earlier: str, trap: str) -> None:
    with connected(earlier, "platform") as platform, suppress(psycopg.Error):
        platform.execute(trap.replace("SCHEMA", "public"))
    start_again(earlier)


@pytest.mark.parametrize("path", ["pg_temp, pg_catalog", "datasets, pg_catalog"])
def test_the_triggers_lend_no_rights(fresh: str, path: str) -> None:
    with connected(fresh, "platform") as platform:
        platform.execute(f"SET search_path = {path}")
        platform.execute("CREATE TABLE datasets.bait (a int)")
        platform.execute(
            "CREATE FUNCTION datasets.f() RETURNS boolean LANGUAGE plpgsql AS"
            " $$ BEGIN ALTER ROLE platform SUPERUSER; RETURN true; END $$"
        )
        # In the place of the transition table, which this trigger does not have.
        platform.execute("CREATE TEMP VIEW changed AS SELECT 1 AS one WHERE datasets.f()")
        platform.execute(
            "CREATE TRIGGER mine AFTER UPDATE ON datasets.bait FOR EACH STATEMENT"
            " EXECUTE FUNCTION public.record_training_event()"
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            platform.execute("UPDATE datasets.bait SET a = 1")
    assert not is_superuser(fresh)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE public.mine (a int)",
        "CREATE FUNCTION public.watch_training_table(oid) RETURNS void LANGUAGE sql AS ''",
        "CREATE OPERATOR public.@@@ (FUNCTION = pg_catalog.int4pl, LEFTARG = int, RIGHTARG = int)",
        "CREATE SCHEMA mine",
        "CREATE EXTENSION plperl",
        "CREATE CAST (text AS regclass) WITH INOUT AS IMPLICIT",
        "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION public.refuse_ledger_change()",
        "CREATE ROLE mine SUPERUSER",
        "ALTER ROLE platform SUPERUSER",
        "ALTER ROLE postgres PASSWORD 'x'",
        "ALTER ROLE postgres SET search_path = datasets",
        "SET ROLE postgres",
        "SET ROLE training_recorder",
        "SET ROLE training_ledger",
        "SELECT public.append_decision('ada', 'm', 1, 1, 'override', 'x', '{}', NULL, false)",
        "INSERT INTO public.promotion_ledger (who, model_name, verdict, reason) VALUES ('ada', 'm', 'override', 'x')",
        "INSERT INTO public.promotion_ledger (id, who, model_name, verdict, reason) OVERRIDING SYSTEM VALUE"
        " VALUES (-7, 'ada', 'm', 'override', 'x')",
        "UPDATE public.promotion_ledger SET served_at = now()",
        "DELETE FROM public.promotion_ledger",
        "TRUNCATE public.promotion_ledger",
        "ALTER TABLE public.promotion_ledger DISABLE TRIGGER append_only",
        "BEGIN; LOCK TABLE public.promotion_ledger IN ROW EXCLUSIVE MODE",
        "INSERT INTO public.training_versions (model_name, version, run_id, root, files, metrics, tags, registered_at)"
        " VALUES ('m', 1, 'r', 'x', '{}', '{}', '{}', '2001-01-01')",
        "UPDATE public.training_versions SET files = '{}'",
        "DELETE FROM public.training_versions",
        "GRANT training_recorder TO platform",
        "SET backtrace_functions = '1'",
        "SET session_replication_role = replica",
        "SET SESSION AUTHORIZATION postgres",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY (SELECT 1) TO '/tmp/x'",
        "CREATE OR REPLACE FUNCTION public.record_training_event() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "ALTER FUNCTION public.record_training_event() RESET ALL",
        "ALTER FUNCTION public.record_training_event() SECURITY INVOKER",
        "INSERT INTO public.training_schema (migration) VALUES ('099')",
        "BEGIN; LOCK TABLE public.training_schema IN ACCESS SHARE MODE",
        "DROP TABLE public.training_leader",
        "DROP SCHEMA datasets CASCADE",
        "ALTER DATABASE template1 SET search_path = datasets",
        "CREATE TRIGGER t BEFORE INSERT ON public.training_event_queue EXECUTE FUNCTION public.refuse_ledger_change()",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_read_file('/etc/passwd')",
        "UPDATE pg_catalog.pg_authid SET rolsuper = true",
    ],
)
def test_platform_may_not(fresh: str, statement: str) -> None:
    with connected(fresh, "platform") as platform, pytest.raises(psycopg.Error) as refused:
        platform.execute(statement)
    assert isinstance(refused.value, psycopg.errors.InsufficientPrivilege | psycopg.errors.FeatureNotSupported)


def test_every_function_is_pinned_and_none_lends_a_superusers_rights(fresh: str) -> None:
    with connected(fresh) as owner:
        found = owner.execute(
            "SELECT f.oid::regprocedure::text, f.proconfig, r.rolname, r.rolsuper FROM pg_proc f"
            " JOIN pg_roles r ON r.oid = f.proowner WHERE f.prosecdef"
            " AND f.pronamespace IN ('public'::regnamespace, 'datasets'::regnamespace)"
        ).fetchall()
        unpinned = owner.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " AND coalesce(array_to_string(proconfig, ','), '') !~ 'search_path=pg_catalog, pg_temp'"
        ).fetchall()
    assert len(found) >= 6
    assert unpinned == []
    assert [name for name, _, role, superuser in found if superuser] == []


@pytest.mark.parametrize(
    "name", ["training", "Training", " training ", "tra\u200bining", "ｔｒａｉｎｉｎｇ", "training\u3000"]
)
def test_who_decides_by_hand_is_never_taken_for_training(fresh: str, name: str) -> None:
    with connected(fresh, "platform") as platform:
        platform.execute("SELECT public.decide_by_hand(%s, 'm', NULL, true, 'pinned', 'so')", [name])
        row = platform.execute("SELECT who, at > now() - interval '1 min' FROM public.promotion_ledger").fetchone()
    assert row == (f"somebody called {name}", True)


def test_a_reader_of_the_tables_does_not_stop_a_start_for_ever(fresh: str, tables: Connection) -> None:
    """What platform may lock, a start does not need."""
    services.apply_schema(fresh)


@pytest.fixture
def tables(fresh: str) -> Iterator[Connection]:
    with psycopg.connect(fresh.replace("//postgres:@", "//platform:@")) as connection:
        for table in ("training_event_queue", "training_event_history", "training_deliveries", "training_jobs"):
            connection.execute(f"BEGIN; LOCK TABLE public.{table} IN EXCLUSIVE MODE")
        yield connection
