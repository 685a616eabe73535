"""Classifiers by plain SQL: over any table, with what training needs; what is in the way is said there and then."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests import services
from tests.database_roles import Connection, connected
from training_endpoint.data import snapshot

MAILS = "CREATE SCHEMA crm; CREATE TABLE crm.mails (body text, is_spam boolean, sender text)"
MAKE = "SELECT create_classifier('spam', 'crm.mails', text_column => 'body', label_column => 'is_spam')"


@pytest.fixture
def owner(database: str) -> Iterator[Connection]:
    services.apply_schema(database)  # which says where roles look for tables
    with connected(database) as connection:
        connection.execute(MAILS)
        yield connection


def row(owner: Connection, name: str = "spam") -> tuple[Any, ...] | None:
    query = "SELECT train_table, test_table, is_default, retired_at IS NULL FROM classifiers WHERE name = %s"
    return owner.execute(query, [name]).fetchone()


def test_a_table_of_any_schema_is_watched_and_may_be_read_as_far_as_needed(owner: Connection, database: str) -> None:
    said = str(owner.execute(MAKE).fetchall()[0][0])
    assert said.startswith("spam learns is_spam from body of crm.mails, of which one row in five is held out")
    assert "manually_trigger.py --classifier spam" in said
    assert row(owner) == ("crm.mails", None, True, True)
    owner.execute("INSERT INTO crm.mails VALUES ('buy', true, 'a@example.org')")
    assert owner.execute("SELECT table_name, classifier FROM training_events").fetchall() == [("crm.mails", "spam")]
    with connected(database, "platform") as training:
        assert training.execute("SELECT body, is_spam FROM crm.mails").fetchall() == [("buy", True)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            training.execute("SELECT sender FROM crm.mails")


def test_names_may_be_quoted_ones(owner: Connection, database: str) -> None:
    owner.execute(
        'CREATE SCHEMA "Our Mail"; CREATE TABLE "Our Mail"."In \'box" ("The Body" text, "Is Spam" text);'
        "INSERT INTO \"Our Mail\".\"In 'box\" SELECT 'text ' || n, 'label ' || n % 2 FROM generate_series(1, 50) n"
    )
    owner.execute(
        "SELECT create_classifier('Spam.2', '\"Our Mail\".\"In ''box\"', "
        "text_column => 'The Body', label_column => 'Is Spam')"
    )
    taken = snapshot.read(database, 1000, "Spam.2")
    assert len(taken.train) + len(taken.test) == 50 and taken.label_names == ["label 0", "label 1"]


def test_it_is_taken_up_again_and_never_moves_to_another_table(owner: Connection) -> None:
    owner.execute(MAKE)
    owner.execute("SELECT create_classifier('other', 'crm.mails', text_column => 'body', label_column => 'sender')")
    owner.execute("SELECT retire_classifier('other')")
    assert row(owner, "other") == ("crm.mails", None, False, False)
    owner.execute("INSERT INTO crm.mails VALUES ('a', true)")
    assert owner.execute("SELECT classifier FROM training_events").fetchall() == [("spam",)], "the other one goes on"
    owner.execute("SELECT create_classifier('other', 'crm.mails', text_column => 'body', label_column => 'sender')")
    assert row(owner, "other") == ("crm.mails", None, False, True)
    with pytest.raises(psycopg.errors.UniqueViolation, match="there is a classifier spam already, over crm.mails"):
        owner.execute(MAKE.replace("'body'", "'sender'"))


def test_the_last_classifier_of_a_table_takes_its_triggers_along(owner: Connection) -> None:
    owner.execute("CREATE TABLE notes (text text, label text); SELECT create_classifier('notes', 'notes')")
    owner.execute(MAKE)
    with pytest.raises(psycopg.errors.ObjectInUse, match="notes is the default classifier"):
        owner.execute("SELECT retire_classifier('notes')")
    owner.execute("SELECT make_default_classifier('spam'); SELECT retire_classifier('notes')")
    owner.execute("INSERT INTO notes VALUES ('a', 'b')")
    assert owner.execute("SELECT * FROM training_events").fetchall() == []
    with pytest.raises(psycopg.errors.UndefinedObject, match="no classifier notes"):
        owner.execute("SELECT make_default_classifier('notes')")


@pytest.mark.parametrize(
    ("before", "call", "said"),
    [
        ("", "create_classifier('spam', 'crm.mails')", 'no column "text"; it has body, is_spam, sender'),
        ("", "create_classifier('a b', 'crm.mails')", "name is of letters"),
        ("", "create_classifier('a..b', 'crm.mails')", "no two dots in a row"),
        ("", "create_classifier('spam', NULL)", "name the table"),
        ("", f"{MAKE[7:-1]}, test_table => 'crm.mails')", "the same table"),
        (
            "",
            "create_classifier('spam', 'crm.mails', text_column => 'body', label_column => 'body')",
            "the same column",
        ),
        ("", f"{MAKE[7:-1]}, policy => 'best')", "sequential, better, significant or always"),
        ("", "create_classifier('spam', 'public.classifiers')", "one of the platform's own tables"),
        ("", "create_classifier('spam', 'prediction_log.answers')", "one of the platform's own tables"),
        ("", "create_classifier('spam', 'prediction_log.feedback')", "one of the platform's own tables"),
        ("", "create_classifier('spam', 'label_queue.items')", "one of the platform's own tables"),
        (
            "ALTER TABLE crm.mails ENABLE ROW LEVEL SECURITY",
            MAKE.removeprefix("SELECT "),
            "has row security: training, the role platform, would see a part",
        ),
        (
            "ALTER TABLE crm.mails ENABLE ROW LEVEL SECURITY; CREATE POLICY a ON crm.mails USING (true);"
            "CREATE POLICY b ON crm.mails AS RESTRICTIVE USING (sender = 'me')",
            MAKE.removeprefix("SELECT "),
            "has row security",
        ),
        (
            "CREATE TABLE datasets.twice (text text, label text); CREATE TABLE public.twice (text text, label text)",
            "create_classifier('twice', 'public.twice')",
            "in both schemas",
        ),
        (
            "CREATE VIEW crm.seen AS SELECT * FROM crm.mails",
            "create_classifier('spam', 'crm.seen', text_column => 'body', label_column => 'is_spam')",
            "not a lasting table",
        ),
    ],
)
def test_what_is_in_the_way_is_said_and_leaves_nothing(owner: Connection, before: str, call: str, said: str) -> None:
    if before:
        owner.execute(before)
    with pytest.raises(psycopg.Error) as caught:
        owner.execute(f"SELECT {call}")
    assert said in str(caught.value)
    assert owner.execute("SELECT count(*) FROM classifiers").fetchone() == (0,)
    owner.execute("INSERT INTO crm.mails VALUES ('a', true)")
    assert owner.execute("SELECT count(*) FROM training_events").fetchone() == (0,), "not watched either"


def test_a_policy_that_shows_training_everything_is_enough(owner: Connection) -> None:
    owner.execute("ALTER TABLE crm.mails ENABLE ROW LEVEL SECURITY")
    owner.execute("CREATE POLICY training ON crm.mails FOR SELECT TO platform USING (true)")
    owner.execute(MAKE)


def test_a_missing_right_of_training_is_said_to_who_cannot_give_it(owner: Connection, database: str) -> None:
    with connected(database, "platform") as training:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            training.execute(MAKE)
        owner.execute("GRANT USAGE ON SCHEMA crm TO platform; GRANT TRIGGER ON crm.mails TO platform")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not read crm.mails") as caught:
            training.execute(MAKE)
    assert caught.value.diag.message_hint == "GRANT SELECT (body, is_spam) ON crm.mails TO platform"


def test_who_may_not_put_triggers_on_a_table_is_told_who_lets_him(owner: Connection, database: str) -> None:
    owner.execute("GRANT USAGE ON SCHEMA crm TO platform")
    with connected(database, "platform") as training:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="platform may not put triggers on") as caught:
            training.execute(MAKE)
        before, _, statement = str(caught.value.diag.message_hint).partition(": ")
        assert before == "as postgres or a superuser"
        owner.execute(statement)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not read") as caught:
            training.execute(MAKE)
        owner.execute(str(caught.value.diag.message_hint))
        training.execute(MAKE)


def test_tables_that_inherit_are_warned_of(owner: Connection) -> None:
    said: list[str | None] = []
    owner.add_notice_handler(lambda notice: said.append(notice.message_primary))
    owner.execute(MAKE)
    assert said == []
    owner.execute("CREATE TABLE crm.mails_old () INHERITS (crm.mails)")
    owner.execute(MAKE)
    (warning,) = said
    assert warning and "tables inherit from crm.mails" in warning


def test_the_name_of_anothers_model_is_taken(owner: Connection) -> None:
    owner.execute(MAKE)
    owner.execute("UPDATE classifiers SET model_name = 'text-classifier'; CREATE TABLE soup (text text, label text)")
    with pytest.raises(psycopg.errors.UniqueViolation, match="model of the classifier spam is called text-classifier"):
        owner.execute("SELECT create_classifier('text-classifier', 'soup')")
    owner.execute("UPDATE classifiers SET is_default = false, retired_at = now()")
    with pytest.raises(psycopg.errors.UniqueViolation, match="model of the classifier spam"):
        owner.execute("SELECT create_classifier('text-classifier', 'soup')")
    owner.execute(MAKE)


PARTITIONED = (
    "CREATE TABLE parts (text text, label text, part int) PARTITION BY LIST (part);"
    "CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1) PARTITION BY LIST (part);"
    "CREATE TABLE parts11 PARTITION OF parts1 FOR VALUES IN (1);"
)


@pytest.mark.parametrize("part", ["parts1", "parts11"])
def test_a_partition_is_refused_and_the_whole_table_is_named(owner: Connection, part: str) -> None:
    owner.execute(PARTITIONED + "CREATE TABLE plain (text text, label text)")
    for tables in (f"'{part}'", f"'plain', '{part}'"):
        with pytest.raises(psycopg.errors.WrongObjectType, match="is a partition: .* whole table, public.parts"):
            owner.execute(f"SELECT create_classifier('c', {tables})")


@pytest.mark.parametrize("kind", ["bytea", "raw", "raw_twice", "bytea[]", "raw[]"])
def test_bytes_are_refused_in_any_wrapping(owner: Connection, kind: str) -> None:
    owner.execute("CREATE DOMAIN raw AS bytea; CREATE DOMAIN raw_twice AS raw CHECK (VALUE IS NOT NULL)")
    owner.execute(f"CREATE TABLE bytes (text {kind}, label text)")
    with pytest.raises(psycopg.errors.DatatypeMismatch, match="holds bytes"):
        owner.execute("SELECT create_classifier('c', 'bytes')")


def troubles(database: str) -> list[tuple[object, ...]]:
    with connected(database, "platform") as training:
        return training.execute("SELECT classifier, because, heal FROM classifier_troubles").fetchall()


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ("DROP TABLE crm.mails; CREATE TABLE crm.mails (body text, is_spam boolean)", "has not all of its triggers"),
        ("ALTER TABLE crm.mails DISABLE TRIGGER training_event_update", "has not all of its triggers"),
        ("DROP TRIGGER training_event_note ON crm.mails", "has not all of its triggers"),
        ("REVOKE ALL (body) ON crm.mails FROM platform", "may not be read"),
        ("REVOKE ALL ON SCHEMA crm FROM platform", "may not be read"),
    ],
)
def test_a_table_that_lost_what_it_was_given_is_told_of_and_healed(
    owner: Connection, database: str, change: str, because: str
) -> None:
    owner.execute(MAKE)
    assert troubles(database) == []
    owner.execute(change)
    ((name, said, heal),) = troubles(database)
    assert name == "spam" and because in str(said)
    owner.execute(str(heal))
    assert troubles(database) == []
    owner.execute("INSERT INTO crm.mails VALUES ('a', true)")
    assert owner.execute("SELECT classifier, rows FROM training_events").fetchall() == [("spam", 1)]


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ("ALTER TABLE crm.mails RENAME TO letters", "crm.letters"),
        ("ALTER TABLE crm.mails SET SCHEMA public", "public.mails"),
        ("ALTER SCHEMA crm RENAME TO sales", "sales.mails"),
        ('ALTER TABLE crm.mails RENAME TO "L\'"; ALTER TABLE crm."L\'" SET SCHEMA datasets', 'datasets."L\'"'),
    ],
)
@pytest.mark.parametrize("retired", [False, True])
def test_a_classifier_follows_its_table(
    owner: Connection, database: str, change: str, table: str, retired: bool
) -> None:
    owner.execute(MAKE)
    owner.execute("INSERT INTO crm.mails VALUES ('before', true)")
    owner.execute(change)
    ((_, said, heal),) = troubles(database)
    assert "is not there any more" in str(said)
    owner.execute(f"INSERT INTO {table} VALUES ('meanwhile', true)")
    if retired:
        owner.execute("UPDATE classifiers SET is_default = false; SELECT retire_classifier('spam')")
    with connected(database) as administrator:
        administrator.execute("SET search_path = public, datasets")
        administrator.execute(str(heal))
    owner.execute(f"INSERT INTO {table} VALUES ('after', true)")
    assert troubles(database) == []
    query = "SELECT id, classifier FROM training_events ORDER BY id"
    assert owner.execute(query).fetchall() == [(1, "spam"), (2, "spam"), (3, "spam")]


def test_a_test_table_and_columns_are_followed_too(owner: Connection, database: str) -> None:
    owner.execute("CREATE TABLE a (text text, label text); CREATE TABLE b (text text, label text)")
    owner.execute("SELECT create_classifier('c', 'a', 'b'); ALTER TABLE b RENAME TO checked")
    ((_, _, heal),) = troubles(database)
    assert heal == "SELECT create_classifier('c', 'a', 'checked')"
    owner.execute(str(heal))
    owner.execute("ALTER TABLE a RENAME label TO kind; ALTER TABLE checked RENAME label TO kind")
    assert [said for _, said, _ in troubles(database)] == ["has no column label any more"] * 2
    owner.execute("SELECT create_classifier('c', 'a', 'checked', label_column => 'kind')")
    assert troubles(database) == []
    for call in (
        "'c', 'a', label_column => 'kind'",
        "'c', 'checked', 'a', label_column => 'kind'",
        "'c', 'a', 'checked', 'kind', 'text'",
    ):
        with pytest.raises(psycopg.errors.UniqueViolation, match="is a classifier c already"):
            owner.execute(f"SELECT create_classifier({call})")


def test_a_table_that_became_a_partition_is_told_of(owner: Connection, database: str) -> None:
    owner.execute("CREATE TABLE late (text text, label text, part int); SELECT create_classifier('late', 'late')")
    owner.execute("CREATE TABLE whole (text text, label text, part int) PARTITION BY LIST (part)")
    owner.execute("ALTER TABLE whole ATTACH PARTITION late FOR VALUES IN (1)")
    ((_, said, heal),) = troubles(database)
    assert "has become a partition" in str(said)
    owner.execute("INSERT INTO late VALUES ('a', 'b', 1)")
    owner.execute(str(heal))
    assert troubles(database) == []
    owner.execute("INSERT INTO whole VALUES ('a', 'b', 1)")
    assert {name for (name,) in owner.execute("SELECT classifier FROM training_events")} == {"late"}


def test_a_partition_that_nobody_watches_is_told_of(owner: Connection, database: str) -> None:
    owner.execute(PARTITIONED + "SELECT create_classifier('parts', 'parts')")
    assert troubles(database) == []
    owner.execute("CREATE TABLE parts2 PARTITION OF parts FOR VALUES IN (2)")
    ((_, _, heal),) = troubles(database)
    owner.execute(str(heal))
    assert troubles(database) == []


def test_repeating_it_waits_for_nobody(owner: Connection, database: str) -> None:
    owner.execute(MAKE)
    owner.execute("CREATE TABLE crm.others (text text, label text)")
    with psycopg.connect(database) as writer:
        writer.execute("INSERT INTO crm.mails VALUES ('a', true); INSERT INTO crm.others VALUES ('a', 'b')")
        owner.execute("SET statement_timeout = '2s'")
        owner.execute(MAKE)
        owner.execute("SET statement_timeout = 0")
        with pytest.raises(psycopg.errors.LockNotAvailable, match="crm.others is in use by a transaction that goes on"):
            owner.execute("SELECT create_classifier('others', 'crm.others')")
    owner.execute("SELECT create_classifier('others', 'crm.others')")
    with psycopg.connect(database) as writer:
        writer.execute("INSERT INTO crm.others VALUES ('a', 'b')")
        with pytest.raises(psycopg.errors.LockNotAvailable, match="triggers cannot be taken off: nothing has changed"):
            owner.execute("SELECT retire_classifier('others')")
    assert row(owner, "others") == ("crm.others", None, False, True)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("retire_classifier('b')", "make_default_classifier('b')", "no classifier b"),
        ("make_default_classifier('b')", "retire_classifier('b')", "b is the default classifier"),
        ("make_default_classifier('b')", "make_default_classifier('c')", None),
        ("create_classifier('new', 'x')", "create_classifier('new', 'y')", "is a classifier new already"),
        ("create_classifier('new', 'x')", "create_classifier('new', 'x')", None),
    ],
)
def test_changes_at_the_same_time_come_one_after_the_other(
    owner: Connection, database: str, first: str, second: str, said: str | None
) -> None:
    for name in "abcxy":
        owner.execute(f"CREATE TABLE {name} (text text, label text)")
    for name in "abc":
        owner.execute("SELECT create_classifier(%s, %s)", [name, name])
    waits = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 'classifiers'::regclass"
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database) as one, connected(database) as other:
        one.execute(f"SELECT {first}")
        later = pool.submit(other.execute, f"SELECT {second}")
        services.wait_until("the second waits", lambda: owner.execute(waits).fetchone() == (True,))
        one.commit()
        if said:
            with pytest.raises(psycopg.Error, match=said):
                later.result()
        else:
            later.result()
    defaults = owner.execute("SELECT count(*), count(retired_at) FROM classifiers WHERE is_default")
    assert defaults.fetchone() == (1, 0)


def test_no_default_is_retired_whoever_writes(owner: Connection) -> None:
    owner.execute(MAKE)
    with pytest.raises(psycopg.errors.CheckViolation):
        owner.execute("UPDATE classifiers SET retired_at = now()")
