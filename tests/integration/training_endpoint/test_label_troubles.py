"""Labels and tables that do not take them: nobody else's label waits for that, and none is lost."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import training
from tests.database_roles import owned
from tests.integration.training_endpoint.test_labelling import ALL, ANNA, logged, unlike
from training_endpoint.data import additions, classifiers
from training_endpoint.errors import NoSuchItem
from training_endpoint.labelling import exchange, items, pick, settle
from training_endpoint.labelling.files import Said
from training_endpoint.labelling.items import New, Reason
from training_endpoint.monitor import feedback

LONG = "".join(chr(0x4E00 + number) for number in range(4_000))


def labelled(url: str, text: str, label: str, reason: Reason = "uncertain") -> None:
    assert items.add(url, "films", [New(reason, text)]) == 1
    item = items.take(url, "films", ANNA, ALL)
    assert item is not None and item.text == text
    items.submit(url, item.id, label, ANNA)


def rows(url: str, table: str = "film_train") -> list[Any]:
    with owned(url) as owner:
        found: list[Any] = owner.execute(f"SELECT text, label FROM {table} ORDER BY text").fetchall()
        return found


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody makes an index on the training table, and takes his time."""
    with owned(url) as owner, owner.transaction():
        owner.execute("LOCK TABLE film_train IN SHARE MODE")
        yield


@pytest.mark.parametrize(
    "change",
    [
        # The row alone is too long for it.
        f"CREATE UNIQUE INDEX ON film_train (text); SELECT '{LONG}'",
        # What COMMIT alone would refuse.
        "CREATE TABLE kinds (name text PRIMARY KEY); INSERT INTO kinds VALUES ('good');"
        "ALTER TABLE film_train ADD FOREIGN KEY (label) REFERENCES kinds DEFERRABLE INITIALLY DEFERRED",
        # What a trigger of the table says in the words of a server that has no room.
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.label = 'odd' THEN"
        " RAISE EXCEPTION 'no more' USING ERRCODE = '53400'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER no BEFORE INSERT ON film_train FOR EACH ROW EXECUTE FUNCTION no()",
        # A trigger that says nothing.
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RETURN CASE WHEN NEW.label <> 'odd' THEN NEW END; END $$;"
        "CREATE TRIGGER no BEFORE INSERT ON film_train FOR EACH ROW EXECUTE FUNCTION no()",
        # A policy of the table, of rows that not even its owner may write.
        "ALTER TABLE film_train ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY known ON film_train USING (true) WITH CHECK (label <> 'odd')",
    ],
    ids=["index", "deferred", "trigger", "silent trigger", "policy"],
)
def test_a_label_that_its_table_does_not_take_keeps_no_other_waiting(films: str, tmp_path: Path, change: str) -> None:
    with owned(films) as owner:
        owner.execute(change)
    labelled(films, LONG, "odd")
    labelled(films, "a film", "good")
    settings = training.settings(films, tmp_path)
    settle.apply(settings, 0)
    settle.apply(settings, 0)
    assert rows(films) == [("a film", "good")]
    told = items.counts(films, "films", ANNA)
    assert told["because"] or told["refused"][0]["because"], "and the page says why"
    assert "GRANT" not in str(told), "no right is missing"


def test_a_trigger_may_write_the_row_into_a_part_of_the_table(films: str, tmp_path: Path) -> None:
    with owned(films) as owner:
        owner.execute(
            "CREATE TABLE film_newest () INHERITS (film_train); ALTER TABLE film_newest OWNER TO platform;"
            "CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO film_newest VALUES (NEW.*); RETURN NULL; END $$;"
            "CREATE TRIGGER move BEFORE INSERT ON film_train FOR EACH ROW EXECUTE FUNCTION move()"
        )
    labelled(films, "a film", "good")
    assert settle.apply(training.settings(films, tmp_path), 0) == 1
    assert rows(films) == rows(films, "film_newest") == [("a film", "good")]


def test_feedback_that_commit_would_refuse_keeps_no_other_waiting(films: str, tmp_path: Path) -> None:
    with owned(films) as owner:
        owner.execute("CREATE TABLE kinds (name text PRIMARY KEY); INSERT INTO kinds VALUES ('good')")
        owner.execute("ALTER TABLE film_train ADD FOREIGN KEY (label) REFERENCES kinds DEFERRABLE INITIALLY DEFERRED")
    logged(films, "a film", "another film")
    with owned(films) as owner:
        owner.execute(
            "INSERT INTO prediction_log.feedback (request_id, place, answered_at, classifier, version, predicted, text,"
            " label) SELECT request_id, place, at, classifier, version, label, text,"
            " CASE text WHEN 'a film' THEN 'new' ELSE 'good' END FROM prediction_log.answers"
        )
    assert feedback.apply(training.settings(films, tmp_path)) == 1
    assert rows(films) == [("another film", "good")]


def test_a_lock_on_one_table_keeps_labels_of_others_from_nothing(
    films: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(additions, "PATIENCE_S", 1)
    labelled(films, "to learn from", "good")
    labelled(films, "to test with", "good", "audit")
    (first,) = [item for item in (items.get(films, number) for number in (1, 2)) if item.reason == "uncertain"]
    settings = training.settings(films, tmp_path)
    with locked(films):
        looked = threading.Thread(target=settle.apply, args=(settings, 0))
        looked.start()
        assert items.get(films, first.id).label == "good", "who looks at it does not wait for it"
        looked.join(30)
        assert not looked.is_alive() and rows(films, "film_test") == [("to test with", "good")]
        assert "somebody is changing film_train" in items.counts(films, "films", ANNA)["because"]
    assert settle.apply(settings, 0) == 1
    assert rows(films) == [("to learn from", "good")]


def test_a_table_that_is_swapped_for_another_loses_no_label(films: str, tmp_path: Path) -> None:
    labelled(films, "a film", "good")
    settings = training.settings(films, tmp_path)
    with owned(films) as owner:
        owner.execute("ALTER TABLE film_train RENAME TO film_old")
        assert settle.apply(settings, 0) == 0
        owner.execute("ALTER TABLE film_old RENAME TO film_train")
    assert settle.apply(settings, 0) == 1
    assert rows(films) == [("a film", "good")]


def test_audits_have_texts_of_their_own(films: str, tmp_path: Path) -> None:
    """Else those on which models differ, or of which they are unsure, would be missing among the test rows."""
    texts = [unlike(number) for number in range(400)]
    classifier = classifiers.get(films)
    ours = [text for text in texts if pick.for_audits(classifier, text)]
    assert 40 < len(ours) < 130
    logged(films, *texts)
    settings = training.settings(films, tmp_path, LABEL_OPEN="400", LABEL_AUDIT="50", LABEL_UNCERTAIN="50",
                                 LABEL_DISAGREEMENTS="0")  # fmt: skip
    pick.refill(settings)
    with owned(films) as owner:
        found = owner.execute("SELECT reason, text FROM label_queue.items").fetchall()
    assert {reason for reason, _ in found} == {"audit", "uncertain"}
    assert all((text in ours) == (reason == "audit") for reason, text in found)


def test_without_a_test_table_audits_alone_are_held_out(films: str) -> None:
    with owned(films) as owner:
        owner.execute("CREATE TABLE mails (text text, label text); SELECT create_classifier('mails', 'mails')")
        texts = [f"mail {number}" for number in range(200)]
        owner.cursor().executemany("INSERT INTO mails VALUES (%s, 'good')", [(text,) for text in texts])
        held = owner.execute(
            "SELECT text FROM mails WHERE get_byte(sha256(convert_to(text, 'UTF8')), 0) < 51"
        ).fetchall()
    mails = classifiers.get(films, "mails")
    assert {text for (text,) in held} == {text for text in texts if pick.for_audits(mails, text)}


def test_tables_and_columns_may_have_a_percent_sign_in_their_names(films: str, tmp_path: Path) -> None:
    settings = training.settings(films, tmp_path)
    with owned(films) as owner:
        owner.execute("""CREATE TABLE "100%" ("text %s" text, "%" text)""")
        owner.execute("""INSERT INTO "100%" VALUES ('wrong', 'bad'), ('known', 'good')""")
        owner.execute("""SELECT create_classifier('percent', '"100%"', NULL, 'text %s', '%')""")
        owner.execute('ALTER TABLE "100%" OWNER TO platform')
    logged(films, "known", "asked", name="percent")
    pick.refill(settings)
    with owned(films) as owner:
        assert owner.execute("SELECT text FROM label_queue.items").fetchall() == [("asked",)], "a row is not asked"
    items.add(films, "percent", [New("error", "wrong", source="train", given_label="bad")])
    while item := items.take(films, "percent", ANNA, ALL):
        items.submit(films, item.id, "good", ANNA)
    labelled(films, "a film", "good")
    assert settle.apply(settings, 0) == 3
    assert rows(films) == [("a film", "good")], "nor does it keep another's label waiting"
    with owned(films) as owner:
        found = owner.execute('SELECT * FROM "100%" ORDER BY 1').fetchall()
    assert found == [("asked", "good"), ("known", "good"), ("wrong", "good")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "CREATE SEQUENCE numbers; ALTER TABLE film_train ADD number int DEFAULT nextval('numbers')",
            "sequence numbers",
        ),
        (
            "CREATE TABLE written (text text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO written VALUES (NEW.text); RETURN NEW; END $$;"
            "CREATE TRIGGER note AFTER INSERT ON film_train FOR EACH ROW EXECUTE FUNCTION note()",
            "table written",
        ),
    ],
    ids=["serial", "trigger"],
)
def test_what_else_a_row_needs_a_right_to_is_told(films: str, tmp_path: Path, change: str, said: str) -> None:
    with owned(films) as owner:
        owner.execute(change)
    labelled(films, "a film", "good")
    assert settle.apply(training.settings(films, tmp_path), 0) == 0
    assert f"permission denied for {said}" in items.counts(films, "films", ANNA)["because"]


def test_a_lock_on_one_table_keeps_texts_of_others_from_being_chosen_for_nothing(
    films: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pick, "PATIENCE_S", 1)
    with owned(films) as owner:
        owner.execute("CREATE TABLE mails (text text, label text); SELECT create_classifier('mails', 'mails')")
    logged(films, *(unlike(number) for number in range(9)))
    logged(films, *(unlike(number) for number in range(9)), name="mails")
    settings = training.settings(films, tmp_path)
    with owned(films) as owner, owner.transaction():
        owner.execute("LOCK TABLE film_train IN ACCESS EXCLUSIVE MODE")
        looked = threading.Thread(target=pick.refill, args=(settings,))
        looked.start()
        looked.join(30)
        assert not looked.is_alive()
    assert sum(items.waiting(films, "mails").values()) == 9
    assert not sum(items.waiting(films, "films").values()), "who knows which are rows"
    pick.refill(settings)
    assert sum(items.waiting(films, "films").values()) == 9


def test_what_a_table_refused_is_no_label_and_is_told_and_not_asked_again_for_a_day(films: str, tmp_path: Path) -> None:
    with owned(films) as owner:
        owner.execute("ALTER TABLE film_test ADD CHECK (label <> 'odd')")
    text = next(text for text in map(unlike, range(99)) if pick.for_audits(classifiers.get(films), text))
    logged(films, text)
    settings = training.settings(films, tmp_path)
    labelled(films, text, "odd", "audit")
    settle.apply(settings, 0)
    for label in ("odd", "good"):
        told = exchange.take(films, [Said("line 1", 1, text, (label,), "")], "ben", new=True)
        assert (told["known"], told["gone"], told["kept"]) == (0, 1, [])
    with pytest.raises(NoSuchItem, match="became no row"):
        items.undo(films, 1, ANNA)
    assert len(items.counts(films, "films", ANNA)["refused"]) == 1
    assert pick.refill(settings) == 0, "nor is it asked at once again"
    with owned(films) as owner:
        owner.execute("UPDATE label_queue.items SET dropped_at = dropped_at - interval '2 days'")
    assert not items.counts(films, "films", ANNA)["refused"] and pick.refill(settings) == 1
