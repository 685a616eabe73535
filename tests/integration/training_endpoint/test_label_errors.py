"""Labels that are perhaps wrong: flagged by a run, asked once, corrected in the very rows, and never a run's end."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests import training
from tests.database_roles import owned
from training_endpoint.clock import Clock
from training_endpoint.data import additions, lineage, snapshot
from training_endpoint.data.snapshot import Snapshot
from training_endpoint.jobs import course, label_errors
from training_endpoint.jobs.context import Job
from training_endpoint.judge import mislabelled
from training_endpoint.labelling import flags, items, settle
from training_endpoint.labelling.flags import Flag
from training_endpoint.labelling.items import Person
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.release import ledger, opponent
from training_endpoint.release.opponent import Opponent

ANNA = Person("anna", "session 1")
NAMES = ("bad", "good")


def execute(url: str, statement: str, *values: Any) -> list[Any]:
    with owned(url) as owner:
        done = owner.execute(statement, values or None)
        return done.fetchall() if done.description else []


def flag(text: str, given: str = "good", answer: str = "bad", suspicion: float = 0.9) -> Flag:
    return Flag(text, given, answer, {answer: 0.9, given: 0.1}, suspicion)


def put(url: str, *some: Flag, source: flags.Source = "train", there: bool = True, version: int = 1) -> int:
    return flags.put(url, "films", source, version, some, lambda text, label: there)


def say(url: str, label: str, tmp_path: Path) -> items.Item:
    """A person's label of what is asked next, as a row."""
    item = items.take(url, "films", ANNA, {"error": 1})
    assert item is not None
    items.submit(url, item.id, label, ANNA)
    settle.apply(training.settings(url, tmp_path), undo_s=0)
    return item


def asked(url: str, source: str = "train") -> list[Any]:
    return execute(
        url,
        "SELECT text, given_label FROM label_queue.items WHERE label IS NULL AND dropped_at IS NULL AND source = %s"
        " ORDER BY priority DESC",
        source,
    )


def test_a_correction_is_an_update_of_those_rows_and_starts_a_run(films: str, tmp_path: Path) -> None:
    rows = [("a dull film", "good"), ("a dull film", " good "), ("a dull film", "bad"), ("A dull film", "good")]
    training.insert(films, "film_train", rows)
    training.insert(films, "film_test", [("a dull film", "good")])
    execute(films, "DELETE FROM training_event_queue")
    assert put(films, flag("a dull film"), flag("another", suspicion=0.5)) == 2
    item = say(films, "bad", tmp_path)
    assert (item.text, item.given_label, item.champion_label) == ("a dull film", "good", "bad")
    assert sorted(execute(films, "SELECT text, label FROM film_train")) == [
        ("A dull film", "good"),
        *[("a dull film", "bad")] * 3,
    ]
    assert execute(films, "SELECT label FROM film_test") == [("good",)], "the other table is none of it"
    assert execute(films, "SELECT classifier, operation, rows FROM training_events") == [("films", "UPDATE", 2)]


def test_what_a_person_said_is_not_asked_again_until_the_label_changes(films: str, tmp_path: Path) -> None:
    training.insert(films, "film_train", [("odd", "good"), ("dull", "good")])
    odd, dull = flag("odd"), flag("dull", suspicion=0.5)
    put(films, odd, dull)
    say(films, "good", tmp_path)  # a confirmation of the first
    say(films, "bad", tmp_path)  # a correction of the second
    assert execute(films, "SELECT text, label FROM film_train ORDER BY 1") == [("dull", "bad"), ("odd", "good")]
    assert put(films, odd, flag("dull", "bad", "good")) == 0, "whatever the model says"
    assert put(films, flag("odd", "bad", "good")) == 1, "somebody labelled it anew since"
    assert put(films, odd) == 1 and asked(films) == [("odd", "bad")], "and back again: that is known already"


def test_a_label_from_the_queue_is_a_persons_word_too(films: str, tmp_path: Path) -> None:
    items.add(films, "films", [items.New("audit", "seen by a person")])
    item = items.take(films, "films", ANNA, {"audit": 1})
    assert item is not None
    items.submit(films, item.id, "good", ANNA)
    assert put(films, flag("seen by a person"), source="test") == 0


def test_a_correction_that_was_refused_is_not_asked_for_again(films: str, tmp_path: Path) -> None:
    training.insert(films, "film_train", [("dull", "good")])
    execute(films, "ALTER TABLE film_train ADD CHECK (label = 'good')")
    put(films, flag("dull"))
    say(films, "bad", tmp_path)
    assert put(films, flag("dull")) == 0, "the person would say the same"


def test_the_queue_follows_the_newest_run(films: str) -> None:
    assert put(films, flag("one"), flag("two"), source="test") == 2
    assert put(films, flag("two", suspicion=0.3), flag("three"), source="test", version=2) == 2
    assert asked(films, "test") == [("three", "good"), ("two", "good")]
    put(films, flag("new"))
    assert put(films) == 1, "a training row is new to one run, and waits until somebody looks at it"
    assert put(films, there=False) == 0, "or until it is gone"
    assert execute(films, "SELECT DISTINCT text FROM label_queue.items WHERE dropped_at IS NOT NULL") == [(None,)]
    held = items.take(films, "films", ANNA, {"error": 1})
    assert held is not None and put(films, source="test") == 1, "what is on a screen stays there"


def test_the_most_suspicious_wait_and_no_more_than_that(films: str) -> None:
    many = [flag(f"film {n}", suspicion=1 - n / 1000) for n in range(flags.MOST + 50)]
    assert put(films, *many) == flags.MOST
    assert asked(films)[-1][0] == f"film {flags.MOST - 1}"
    assert put(films, *many[flags.MOST :]) == flags.MOST


TABLES = {
    "numbers": ('id int PRIMARY KEY, "the text" text, "is spam" smallint', "0", "1", 0, 1),
    "truth": ('"the text" varchar(50), "is spam" boolean', "false", "true", False, True),
    "enum": ('"the text" text, "is spam" mood', "ham", "spam", "ham", "spam"),
    "padded": ('"the text" char(20), "is spam" char(8)', "ham", "spam", "ham".ljust(8), "spam".ljust(8)),
    "split": ('"the text" text, "is spam" text) PARTITION BY LIST ("is spam"', "ham", "spam", "ham", "spam"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_any_kind(films: str, tmp_path: Path, kind: str) -> None:
    columns, given, right, before, after = TABLES[kind]
    with owned(films) as owner:
        owner.execute("CREATE TYPE public.mood AS ENUM ('ham', 'spam')")
        owner.execute(f'CREATE TABLE public."Mails; --" ({columns})')
        if kind == "split":
            for part in ("ham", "spam"):
                owner.execute(f"CREATE TABLE public.{part} PARTITION OF \"Mails; --\" FOR VALUES IN ('{part}')")
        first = "1, " if kind == "numbers" else ""
        owner.execute(f'INSERT INTO "Mails; --" VALUES ({first}%s, %s)', ["buy' now", before])
        owner.execute(
            "SELECT create_classifier('spam', 'public.\"Mails; --\"', text_column => 'the text',"
            " label_column => 'is spam')"
        )
    assert flags.put(films, "spam", "test", 1, [flag("buy' now", given, right)], lambda *_: True) == 1
    item = items.take(films, "spam", ANNA, {"error": 1})
    assert item is not None
    items.submit(films, item.id, right, ANNA)
    settings = training.settings(films, tmp_path)
    assert settle.apply(settings, undo_s=0) == 0, "training may not write it yet"
    ((because,),) = execute(films, "SELECT because FROM label_queue.items")
    denied = "training may not correct labels (permission denied for table Mails; --)"
    assert because == f'{denied}: GRANT UPDATE ("is spam") ON "Mails; --" TO platform'
    execute(films, because.partition(": ")[2])
    assert settle.apply(settings, undo_s=0) == 1
    assert execute(films, 'SELECT "is spam" FROM "Mails; --"') == [(after,)]


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("DELETE FROM film_train", "it is gone"),
        ("UPDATE film_train SET label = 'bad'", "it is labelled 'bad' by now"),
        ("ALTER TABLE film_train ADD CHECK (label = 'good')", "violates check constraint"),
    ],
)
def test_what_its_table_does_not_take_is_said_and_stops_no_other(
    films: str, tmp_path: Path, does: str, said: str
) -> None:
    training.insert(films, "film_train", [("dull", "good")])
    training.insert(films, "film_test", [("odd", "good")])
    put(films, flag("dull"))
    put(films, flag("odd", suspicion=0.1), source="test")
    execute(films, does)
    say(films, "bad", tmp_path)
    say(films, "bad", tmp_path)
    assert execute(films, "SELECT label FROM film_test") == [("bad",)]
    ((because,),) = execute(films, "SELECT because FROM label_queue.items WHERE dropped_at IS NOT NULL")
    assert said in because


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("ALTER TABLE film_train RENAME COLUMN label TO mark", "has no column 'label'"),
        ("DROP TABLE film_train", "is gone"),
    ],
)
def test_what_is_not_there_is_waited_for(films: str, tmp_path: Path, does: str, said: str) -> None:
    training.insert(films, "film_train", [("dull", "good")])
    put(films, flag("dull"))
    execute(films, does)
    say(films, "bad", tmp_path)
    ((because, dropped),) = execute(films, "SELECT because, dropped_at FROM label_queue.items")
    assert said in because and dropped is None


def test_rows_that_a_policy_or_another_holds_wait(films: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additions, "PATIENCE_S", 1)
    training.insert(films, "film_train", [("dull", "good")])
    put(films, flag("dull"))
    with owned(films) as other:
        other.autocommit = False
        other.execute("UPDATE film_train SET label = label")
        say(films, "bad", tmp_path)
        other.rollback()
    ((because,),) = execute(films, "SELECT because FROM label_queue.items")
    assert "tried again" in because
    execute(films, "ALTER TABLE film_train OWNER TO postgres; ALTER TABLE film_train ENABLE ROW LEVEL SECURITY")
    execute(films, "GRANT SELECT, UPDATE ON film_train TO platform")
    execute(films, "CREATE POLICY training ON film_train FOR SELECT TO platform USING (true)")
    settings = training.settings(films, tmp_path)
    assert settle.apply(settings, undo_s=0) == 0
    ((because,),) = execute(films, "SELECT because FROM label_queue.items")
    assert "row security" in because
    execute(films, "ALTER TABLE film_train DISABLE ROW LEVEL SECURITY")
    assert settle.apply(settings, undo_s=0) == 1
    assert execute(films, "SELECT label FROM film_train") == [("bad",)]


def job(films: str, tmp_path: Path, taken: Snapshot, **variables: str) -> Job:
    return Job(
        run_id="run",
        job_id="job",
        snapshot=taken,
        parameters=Hyperparameters(),
        settings=training.settings(films, tmp_path, **variables),
        report=lambda **fields: None,
        work=tmp_path,
        clock=Clock(),
        conclude=lambda outcome, ruling: None,
    )


def told(texts: Any, names: Any) -> Any:
    """What a model that knows better answers: good where the text says so."""
    return np.array([[0.05, 0.95] if "fine" in text else [0.95, 0.05] for text in texts])


@pytest.fixture
def champion(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Makes a snapshot the Champion's; its answers are `told`'s."""
    seen: list[int] = []

    def answers(settings: Any, texts: Any, names: Any) -> Opponent:
        seen.append(len(texts))
        return Opponent(7, told(texts, names), list(names))

    def known(taken: Snapshot) -> list[int]:
        lineage.write(taken, 100_000, tmp_path / "behind")
        return seen

    monkeypatch.setattr(ledger, "newest", lambda *_: SimpleNamespace(to_version=7))
    monkeypatch.setattr(course, "rows_behind", lambda *_: tmp_path / "behind")
    monkeypatch.setattr(opponent, "answers", answers)
    return known


def read(films: str) -> Snapshot:
    return snapshot.read(films, 100_000, "films")


def filled(films: str) -> None:
    for table in ("film_train", "film_test"):
        rows = [(f"a {kind} film, {table} {n}", label) for n in range(20)
                for kind, label in (("fine", "good"), ("dull", "bad"))]  # fmt: skip
        training.insert(films, table, rows)


def test_new_rows_are_looked_at_before_they_are_trained_on(films: str, tmp_path: Path, champion: Any) -> None:
    filled(films)
    seen = champion(read(films))
    training.insert(films, "film_train", [("a fine new film", "bad"), ("a dull new film", "bad")])
    # Learned as bad, corrected since: what the Champion learned says nothing of the correction.
    execute(films, "UPDATE film_train SET label = 'good' WHERE text = 'a dull film, film_train 3'")
    taken = read(films)
    found = label_errors.of_new_rows(job(films, tmp_path, taken))
    assert (found.standing, found.looked_at, found.trouble) == (1, 2, "")
    assert seen == [2 + 40], "what is scored is what is new, and some test rows beside it"
    assert asked(films) == [("a fine new film", "bad")]
    ((version, answer, scores),) = execute(
        films, "SELECT champion_version, champion_label, champion_scores FROM label_queue.items"
    )
    assert (version, answer, scores) == (7, "good", {"bad": 0.05, "good": 0.95})
    assert label_errors.of_new_rows(job(films, tmp_path, taken)).standing == 1, "again is the same"


def test_many_new_rows_cost_no_more(films: str, tmp_path: Path, champion: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_errors, "MOST_NEW", 10)
    monkeypatch.setattr(label_errors, "BESIDE", 5)
    filled(films)
    seen = champion(replace(read(films), train=snapshot.Rows([], [])))
    label_errors.of_new_rows(job(films, tmp_path, read(films)))
    assert seen == [15]


def test_test_rows_are_looked_at_by_the_version_that_is_judged(films: str, tmp_path: Path) -> None:
    filled(films)
    execute(films, "UPDATE film_test SET label = 'bad' WHERE text LIKE 'a fine%% 1_'")
    taken = read(films)
    judged: Any = SimpleNamespace(answers=told(taken.test.texts, NAMES), voucher=SimpleNamespace(version=3))
    found = label_errors.of_test_rows(job(films, tmp_path, taken), judged)
    assert (found.standing, found.looked_at) == (10, 40)
    assert {row[1] for row in asked(films, "test")} == {"bad"} and not asked(films)


def test_nothing_of_it_ends_a_run(films: str, tmp_path: Path, champion: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(films)
    champion(replace(read(films), train=snapshot.Rows([], [])))
    taken = read(films)

    def fails(*_: Any) -> Any:
        raise ValueError("strange scores\nand more")

    monkeypatch.setattr(mislabelled, "suspects", fails)
    found = label_errors.of_new_rows(job(films, tmp_path, taken))
    assert (found.standing, found.trouble) == (0, "ValueError: strange scores")
    away = replace(taken, name="films")
    nowhere = job("postgresql://127.0.0.1:9/none", tmp_path, away)
    monkeypatch.undo()
    assert "does not answer" in label_errors.of_new_rows(nowhere).trouble
