"""The queue of what to label: each text is one person's at a time, and each label becomes one row."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mlops_contract.errors import PlatformError
from tests import training
from tests.database_roles import connected, url_of
from training_endpoint.labelling import items, settle
from training_endpoint.labelling.items import New, Person, Reason

ANNA, BEN = Person("anna", "session 1"), Person("ben", "session 2")
ALL: dict[Reason, float] = {"disagreement": 30, "uncertain": 0, "audit": 70, "error": 10}


@pytest.fixture
def films(database: str) -> str:
    """The services' address of a database with a classifier over tables of their own."""
    training.dataset(database, [], [])
    with connected(database) as owner:
        owner.execute("ALTER TABLE film_train OWNER TO platform; ALTER TABLE film_test OWNER TO platform")
        owner.execute("DELETE FROM training_event_queue")
    return url_of(database, "platform")


def owned(url: str) -> Any:
    return connected(url.replace("//platform:@", "//postgres:@"))


def rows(url: str, table: str = "film_train") -> list[Any]:
    with connected(url, "platform") as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


def waiting(url: str, count: int, reason: Reason = "audit") -> None:
    assert items.add(url, "films", [New(reason, f"film {n}") for n in range(count)]) == count


def test_a_text_is_asked_once_and_not_again_once_it_is_labelled(films: str) -> None:
    two = [New("audit", "a film"), New("uncertain", "a film"), New("audit", " \n"), New("audit", "another")]
    assert items.add(films, "films", two) == 2
    assert items.waiting(films, "films") == {"disagreement": 0, "uncertain": 0, "audit": 2, "error": 0}
    first = items.take(films, "films", ANNA, ALL)
    assert first is not None and first.text == "a film"
    items.submit(films, first.id, "good", ANNA)
    assert items.add(films, "films", two) == 0
    second = items.take(films, "films", ANNA, ALL)
    assert second is not None and items.drop(films, [first.id, second.id], "the shadow is gone") == 1
    assert items.add(films, "films", two) == 1, "what was dropped may come back"


def test_people_who_ask_at_once_get_different_texts(films: str) -> None:
    waiting(films, 40)
    got: list[int] = []
    start = threading.Barrier(8)

    def label(person: Person) -> None:
        start.wait()
        for _ in range(5):
            item = items.take(films, "films", person, ALL)
            assert item is not None
            got.append(item.id)
            items.submit(films, item.id, "good", person)

    people = [Person("anna", f"session {n}") for n in range(8)]  # of one name, for that is no difference
    threads = [threading.Thread(target=label, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(got).most_common(1)[0][1] == 1 and len(got) == 40


def test_a_text_stays_on_its_screen_until_it_is_labelled_skipped_or_left(films: str) -> None:
    waiting(films, 2)
    mine, his = items.take(films, "films", ANNA, ALL), items.take(films, "films", BEN, ALL)
    assert mine and his and mine.id != his.id
    assert (items.take(films, "films", ANNA, ALL) or his).id == mine.id, "after a reload of the page"
    assert items.take(films, "films", Person("carl", "session 3"), ALL) is None
    items.skip(films, mine.id, ANNA)
    items.skip(films, mine.id, ANNA)
    assert items.take(films, "films", ANNA, ALL) is None, "what she skipped is not asked of her"
    items.let_go(films, BEN)
    assert {(items.take(films, "films", Person("carl", str(n)), ALL) or mine).id for n in range(2)} == {mine.id, his.id}


def test_a_lease_ends(films: str) -> None:
    waiting(films, 1)
    item = items.take(films, "films", ANNA, ALL)
    assert item is not None
    with connected(films, "platform") as connection:
        connection.execute("UPDATE labelling.items SET held_until = now() - interval '1 s'")
    taken = items.take(films, "films", BEN, ALL)
    assert taken is not None and taken.id == item.id
    for act in (lambda: items.submit(films, item.id, "good", ANNA), lambda: items.skip(films, item.id, ANNA)):
        with pytest.raises(PlatformError, match="Somebody else has that text now"):
            act()
    items.submit(films, item.id, "bad", BEN)


def test_a_label_is_one_row_however_often_it_is_sent_and_settled(films: str, tmp_path: Path) -> None:
    settings = training.settings(films, tmp_path)
    waiting(films, 3, "disagreement")
    for _ in range(3):
        item = items.take(films, "films", ANNA, ALL)
        assert item is not None
        acts = [threading.Thread(target=items.submit, args=(films, item.id, "good", ANNA)) for _ in range(3)]
        for act in acts:
            act.start()
        for act in acts:
            act.join()
        with pytest.raises(PlatformError, match="already"):
            items.submit(films, item.id, "bad", ANNA)
    assert settle.apply(settings) == 0, "they can be taken back yet"
    threads = [threading.Thread(target=settle.apply, args=(settings, 0)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(films) == [(f"film {n}", "good") for n in range(3)]
    with owned(films) as owner:
        events = owner.execute("SELECT classifier, sum(rows) FROM training_events GROUP BY 1").fetchall()
    assert events == [("films", 3)], "they start a run as any new row does"
    with pytest.raises(PlatformError, match="is a row of the table by now"):
        items.undo(films, item.id, ANNA)


def test_audits_go_to_the_test_table(films: str, tmp_path: Path) -> None:
    items.add(films, "films", [New("audit", "audited"), New("uncertain", "unsure")])
    for _ in range(2):
        item = items.take(films, "films", ANNA, ALL)
        assert item is not None
        items.submit(films, item.id, "good", ANNA)
    assert settle.apply(training.settings(films, tmp_path), 0) == 2
    assert rows(films, "film_test") == [("audited", "good")] and rows(films) == [("unsure", "good")]


def test_undo_brings_the_text_back_and_no_row_is_made(films: str, tmp_path: Path) -> None:
    waiting(films, 2)
    first = items.take(films, "films", ANNA, ALL)
    assert first is not None
    items.submit(films, first.id, "good", ANNA)
    second = items.take(films, "films", ANNA, ALL)
    assert second is not None
    items.skip(films, second.id, ANNA)
    for item in (second, first):
        with pytest.raises(PlatformError, match="Somebody else"):
            items.undo(films, item.id, BEN)
        assert items.undo(films, item.id, ANNA).label is None
    assert settle.apply(training.settings(films, tmp_path), 0) == 0
    items.submit(films, first.id, "bad", ANNA)
    assert settle.apply(training.settings(films, tmp_path), 0) == 1
    assert rows(films, "film_test") == [("film 0", "bad")]


def test_a_table_that_refuses_a_label_or_may_not_be_written_says_so(films: str, tmp_path: Path) -> None:
    settings = training.settings(films, tmp_path)
    with owned(films) as owner:
        owner.execute("ALTER TABLE film_train OWNER TO postgres; ALTER TABLE film_train ADD CHECK (label <> 'odd')")
        owner.execute("REVOKE ALL ON film_train FROM platform")
        waiting(films, 2, "uncertain")
        for label in ("odd", "good"):
            item = items.take(films, "films", ANNA, ALL)
            assert item is not None
            items.submit(films, item.id, label, ANNA)
        assert settle.apply(settings, 0) == 0
        told = items.counts(films, "films", ANNA)
        assert told["waiting"] == 2
        assert told["because"] == 'training may not write: GRANT INSERT ("text", "label") ON film_train TO platform'
        owner.execute(told["because"].partition(": ")[2])
        assert settle.apply(settings, 0) == 1
        assert owner.execute("SELECT * FROM film_train").fetchall() == [("film 1", "good")]
    told = items.counts(films, "films", ANNA)
    assert (told["waiting"], told["settled"], told["today"]) == (0, 1, 1)
    assert "violates check constraint" in told["refused"][0]["because"]


def test_reasons_are_asked_for_by_their_shares(films: str) -> None:
    for reason in ("disagreement", "uncertain", "audit"):
        items.add(films, "films", [New(reason, f"{reason} {n}") for n in range(60)])  # type: ignore[arg-type]
    asked = Counter[str]()
    for n in range(60):
        item = items.take(films, "films", Person("anna", str(n)), {"disagreement": 30, "uncertain": 0, "audit": 70})
        assert item is not None
        asked[item.reason] += 1
    assert asked["uncertain"] == 0 and 5 < asked["disagreement"] < 32 and asked["audit"] > 25
