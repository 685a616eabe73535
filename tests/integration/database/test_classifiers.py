"""Classifiers by plain SQL: over any table, with what training needs; what is in the way is said there and then."""

from collections.abc import Iterator
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
