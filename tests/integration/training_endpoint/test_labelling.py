"""The queue of what to label: each text is one person's at a time, and each label becomes one row."""

import random
import string
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from mlops_contract.errors import PlatformError
from tests import training
from tests.database_roles import connected, owned
from training_endpoint import database
from training_endpoint.data import classifiers, snapshot
from training_endpoint.judge import looks
from training_endpoint.labelling import items, pick, settle
from training_endpoint.labelling.items import New, Person, Reason
from training_endpoint.release import ledger
from training_endpoint.release.ledger import Ruling

ANNA, BEN = Person("anna", "session 1"), Person("ben", "session 2")
ALL: dict[Reason, float] = {"disagreement": 30, "uncertain": 0, "audit": 70, "error": 10}


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
    assert first is not None
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
        connection.execute("UPDATE label_queue.items SET held_until = now() - interval '1 s'")
    taken = items.take(films, "films", BEN, ALL)
    assert taken is not None and taken.id == item.id
    with pytest.raises(PlatformError, match="Somebody else has that text now"):
        items.submit(films, item.id, "good", ANNA)
    with pytest.raises(PlatformError, match="Somebody else has that text now"):
        items.skip(films, item.id, ANNA)
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
    assert item is not None
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
        denied = "training may not write (permission denied for table film_train)"
        assert told["because"] == f'{denied}: GRANT INSERT ("text", "label") ON film_train TO platform'
        owner.execute(told["because"].partition(": ")[2])
        assert settle.apply(settings, 0) == 1
        assert owner.execute("SELECT * FROM film_train").fetchall() == [("film 1", "good")]
    told = items.counts(films, "films", ANNA)
    assert (told["waiting"], told["settled"], told["today"]) == (0, 1, 1)
    assert "violates check constraint" in told["refused"][0]["because"]


def test_reasons_are_asked_for_by_their_shares(films: str) -> None:
    reasons: tuple[Reason, ...] = ("disagreement", "uncertain", "audit")
    for reason in reasons:
        items.add(films, "films", [New(reason, f"{reason} {n}") for n in range(60)])
    asked = Counter[str]()
    for n in range(60):
        item = items.take(films, "films", Person("anna", str(n)), {"disagreement": 30, "uncertain": 0, "audit": 70})
        assert item is not None
        asked[item.reason] += 1
    assert asked["uncertain"] == 0 and 5 < asked["disagreement"] < 32 and asked["audit"] > 25


def logged(
    url: str, *texts: str | None, sure: float = 0.9, version: int = 1, days: float = 0, name: str = "films"
) -> None:
    """Answers in the log; the first label's score is `sure`."""
    at = datetime.now(UTC) - timedelta(days=days, seconds=1)
    with owned(url) as owner:
        owner.execute("CREATE TABLE IF NOT EXISTS prediction_log.other PARTITION OF prediction_log.answers DEFAULT")
        for text in texts:
            owner.execute(
                "INSERT INTO prediction_log.answers (at, request_id, place, classifier, version, replica, text, label,"
                " scores, truncated) VALUES (%s, gen_random_uuid(), 0, %s, %s, 'one', %s, 'good', %s, false)",
                [at, name, version, text, Jsonb({"good": sure, "bad": 1 - sure})],
            )


def unlike(number: int) -> str:
    return "".join(random.Random(number).choices(string.ascii_lowercase + " ", k=40))


def asked(url: str) -> dict[str, list[str]]:
    with owned(url) as owner:
        rows = owner.execute("SELECT reason, text FROM label_queue.items ORDER BY reason, priority DESC, id").fetchall()
    found: dict[str, list[str]] = {}
    for reason, text in rows:
        found.setdefault(str(reason), []).append(str(text))
    return found


def test_the_queue_is_filled_from_the_log_by_the_shares_up_to_its_bound(films: str, tmp_path: Path) -> None:
    logged(films, *(unlike(n) for n in range(25)))
    logged(films, *(unlike(n) for n in range(25, 50)), name="text-classifier")
    logged(films, "too old", days=8)
    logged(films, "another's", name="mails")
    logged(films, " ", None, "too long " * 3_000)
    settings = training.settings(
        films, tmp_path, LABEL_OPEN="10", LABEL_DISAGREEMENTS="0", LABEL_UNCERTAIN="70", LABEL_AUDIT="30"
    )
    assert pick.refill(settings) == 10 and pick.refill(settings) == 0
    found = asked(films)
    assert {reason: len(texts) for reason, texts in found.items()} == {"audit": 3, "uncertain": 7}
    assert not {"too old", "another's", " "} & {*found["audit"], *found["uncertain"]}
    item = items.take(films, "films", ANNA, ALL)
    assert item is not None and item.request_id and item.champion_scores == pytest.approx({"good": 0.9, "bad": 0.1})
    items.submit(films, item.id, "good", ANNA)
    assert pick.refill(settings) == 1, "one for one"


def test_texts_that_are_rows_or_were_told_by_feedback_are_not_asked(films: str, tmp_path: Path) -> None:
    logged(films, "a row to learn from", "a row to test with", "told", "new", "new")
    training.insert(films.replace("//platform:@", "//postgres:@"), "film_train", [("a row to learn from", "good")])
    training.insert(films.replace("//platform:@", "//postgres:@"), "film_test", [("a row to test with", "good")])
    with owned(films) as owner:
        owner.execute(
            "INSERT INTO prediction_log.feedback (request_id, place, answered_at, classifier, version, predicted,"
            " label) SELECT request_id, place, at, classifier, version, label, 'good' FROM prediction_log.answers"
            " WHERE text = 'told'"
        )
    assert pick.refill(training.settings(films, tmp_path)) == 1
    assert asked(films) == {"audit": ["new"]}


def test_by_margin_the_least_sure_comes_first_and_near_copies_are_left_out(films: str, tmp_path: Path) -> None:
    logged(
        films, "the reader was never quite sure of this one", "THE READER WAS NEVER QUITE  SURE OF THIS ONE!", sure=0.52
    )
    logged(films, "nobody knows what to make of this film", sure=0.55)
    logged(films, "plain and good", sure=0.99)
    with_margin = {"LABEL_CHOICE": "margin", "LABEL_UNCERTAIN": "100", "LABEL_DISAGREEMENTS": "0", "LABEL_AUDIT": "0"}
    settings = training.settings(films, tmp_path, LABEL_OPEN="2", **with_margin)
    assert pick.refill(settings) == 2
    first, second = asked(films)["uncertain"]
    assert "quite" in first.lower() and second == "nobody knows what to make of this film"


def test_a_classifier_whose_table_is_gone_keeps_no_other_waiting(films: str, tmp_path: Path) -> None:
    with owned(films) as owner:
        owner.execute("CREATE TABLE mails (body text, spam text)")
        owner.execute("SELECT create_classifier('mails', 'mails', text_column => 'body', label_column => 'spam')")
        owner.execute("DROP TABLE film_train")
    logged(films, "a film")
    logged(films, "a mail", name="mails")
    assert pick.refill(training.settings(films, tmp_path)) == 2


def test_where_there_is_nothing_it_is_said_why(films: str, tmp_path: Path) -> None:
    def why(**variables: str) -> str:
        settings = training.settings(films, tmp_path, **variables)
        pick.refill(settings)
        assert items.take(films, "films", ANNA, ALL) is None
        return pick.why_nothing(settings, classifiers.get(films), items.counts(films, "films", ANNA))

    assert "PREDICTION_LOG in .env is off" in why()
    logged(films, None)
    assert "The log keeps no texts (PREDICTION_LOG in .env is hashed)" in why()
    logged(films, "a text")
    assert "LABEL_OPEN in .env is 0" in why(LABEL_OPEN="0")


def test_no_text_outlives_the_log(films: str, tmp_path: Path) -> None:
    logged(films, "open", "labelled", days=1)
    items.add(
        films, "films", [New("audit", text, answered_at=datetime.now(UTC) - timedelta(days=40)) for text in ("a", "b")]
    )
    item = items.take(films, "films", ANNA, ALL)
    assert item is not None
    items.submit(films, item.id, "good", ANNA)
    settle.apply(training.settings(films, tmp_path), 0)
    with owned(films) as owner:
        owner.execute("SELECT prediction_log.keep(30)")
        assert owner.execute("SELECT text, label FROM label_queue.items").fetchall() == [(None, "good")]
    assert items.add(films, "films", [New("audit", item.text or "")]) == 0, "and yet it is known"


def test_looks_are_counted_anew_for_audited_rows(films: str, tmp_path: Path) -> None:
    """A comparison counts half where half of today's test rows are new."""
    owner_url = films.replace("//platform:@", "//postgres:@")
    training.insert(owner_url, "film_train", training.TRAIN)
    training.insert(owner_url, "film_test", [(f"tested {n}", "good") for n in range(40)])
    before = looks.sketches(snapshot.read(films, 1000, "films", folder=tmp_path))
    ruling = Ruling(
        None, False, None, "kept_no_difference", "x", {"difference": {"metric": "accuracy"}, "rows": before}
    )
    with database.connect(owner_url) as connection:
        connection.execute("INSERT INTO training_jobs (job_id, run_id, status) VALUES ('job', 'job', 'running')")
        ledger.decide_for_job(connection, "m", "job", ruling)
    assert ledger.looks(films, "m", before, 1).earlier == 1
    items.add(films, "films", [New("audit", f"audited {n}") for n in range(40)])
    for _ in range(40):
        item = items.take(films, "films", ANNA, ALL)
        assert item is not None
        items.submit(films, item.id, "good", ANNA)
    assert settle.apply(training.settings(films, tmp_path), 0) == 40
    after = looks.sketches(snapshot.read(films, 1000, "films", folder=tmp_path))
    assert ledger.looks(films, "m", after, 1).earlier == pytest.approx(0.5)
