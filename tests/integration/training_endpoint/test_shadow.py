"""From a challenger about which test rows cannot tell to what labels make of it: a real database, queue and ledger."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from model_runner import Encoded
from model_runner.model import Logits
from tests import training
from tests.database_roles import connected, url_of
from tests.releases import NAME, Release, release
from training_endpoint import database
from training_endpoint.console import view
from training_endpoint.data import classifiers
from training_endpoint.data.snapshot import row_hash
from training_endpoint.errors import ChampionChanged, NoShadow, UnknownVersion
from training_endpoint.jobs.queue import Jobs
from training_endpoint.labelling import items, pick, settle
from training_endpoint.labelling.items import New, Person
from training_endpoint.release import ledger
from training_endpoint.release.desk import Desk
from training_endpoint.release.ledger import Ruling
from training_endpoint.shadow import answering, decisions, shadows, texts
from training_endpoint.shadow.rounds import Rounds
from training_endpoint.shadow.shadows import Shadow
from training_endpoint.shadow.texts import Learned
from training_endpoint.upkeep import janitor

ANNA = Person("anna", "session 1")
NOTHING = Learned({}, [], 1000)


class Says:
    """A model that calls texts good in which a word is, the Champion's being `fine`."""

    kind = "test"
    piece, parallel = 16, 1
    joins = False

    def __init__(self, word: str) -> None:
        self.labels = ["bad", "good"]
        self.word = word

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return [Encoded([int(self.word in text)], False) for text in texts]

    def logits(self, encoded: Sequence[Encoded]) -> Logits:
        return np.array([[0.0, 2.0 if one.ids[0] else -2.0] for one in encoded], np.float32)


@pytest.fixture(name="postgres")
def _postgres(database: str) -> str:
    """The owner's address."""
    return database


@pytest.fixture
def made(postgres: str, tmp_path: Path) -> Iterator[Release]:
    """A desk whose role is the services' own, a Champion, and the classifier films."""
    training.dataset(postgres)
    with connected(postgres) as owner:
        owner.execute("ALTER TABLE film_train OWNER TO platform; ALTER TABLE film_test OWNER TO platform")
        owner.execute(
            "CREATE TABLE IF NOT EXISTS prediction_log.answers_other PARTITION OF prediction_log.answers DEFAULT"
        )
    with release(url_of(postgres, "platform"), tmp_path) as made:
        made.crown()
        made.settle()
        yield made


@pytest.fixture(autouse=True)
def _round_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text is kept for audits, unless a test says so."""
    monkeypatch.setattr(pick, "HELD_OUT", 0)


def challenged(made: Release, verdict: str = "kept_no_difference", shadow: bool = True) -> int:
    """A version that a job registered and did not promote; it is the shadow, as the verdict says."""
    job, voucher = made.job(), made.register()
    now = made.decided
    moves = verdict == "promoted"
    evidence = {"challenger_version": voucher.version}
    ruling = Ruling(now, False, voucher.version if moves else now, verdict, "because", evidence, shadow)
    result = {"verdict": verdict, "mlflow_run_id": "r", "model_version": voucher.version}

    def decide(connection: Any) -> None:
        ledger.decide_for_job(connection, NAME, job["job_id"], ruling)
        shadows.after_verdict(connection, NAME, ruling, ["bad", "good"])

    Jobs(made.settings.database_url).succeed(job["job_id"], result, [], decide)
    return voucher.version


def logged(
    url: str, asked: Sequence[str | None], version: int = 1, of: str = "r", classifier: str = "films", ago: int = 30
) -> None:
    """The Champion's answers in the log, some minutes old."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        columns = "at, request_id, place, classifier, version, replica, text, label, scores, truncated, pieces"
        with cursor.copy(f"COPY prediction_log.answers ({columns}) FROM STDIN") as copy:
            for number, text in enumerate(asked):
                good = 0.9 if "fine" in (text or "") else 0.2
                scores = json.dumps({"bad": 1 - good, "good": good})
                at = datetime.now(UTC) - timedelta(seconds=ago - number / 100)
                label = "good" if good > 0.5 else "bad"
                copy.write_row((at, f"{of}{number}", 0, classifier, version, "one", text, label, scores, False, 4))


def by_hand(made: Release, verdict: str, version: int | None, pinned: bool = False) -> None:
    url = made.settings.database_url
    ledger.decide_by_hand(url, NAME, "somebody", verdict, "so it is", to_version=version, pinned=pinned)


def current(made: Release) -> Shadow:
    found = shadows.current(made.settings.database_url, NAME)
    assert found is not None
    return found


def films(made: Release) -> Any:
    return classifiers.get(made.settings.database_url, "films")


def answer(made: Release, word: str, learned: Learned = NOTHING) -> None:
    """All rounds that there is something for."""
    url = made.settings.database_url
    while answering.step(url, films(made), current(made), Says(word), learned):
        pass


def label(made: Release, most: int, right: str) -> int:
    """A person labels: texts with the word `right` are good; returns how many were there."""
    url, done = made.settings.database_url, 0
    while done < most and (item := items.take(url, "films", ANNA, {"disagreement": 1.0})):
        assert item.text
        items.submit(url, item.id, "good" if right in item.text else "bad", ANNA)
        done += 1
    settle.apply(made.settings, undo_s=0)
    return done


def asked(made: Release) -> list[tuple[Any, ...]]:
    with connected(made.settings.database_url, "platform") as connection:
        return connection.execute(
            "SELECT text, champion_label, shadow_label, shadow_version FROM label_queue.items"
            " WHERE dropped_at IS NULL ORDER BY id"
        ).fetchall()


TEXTS = [f"{kind} film number {n}" for n in range(30) for kind in ("a fine", "a lovely", "a fine and lovely", "a dull")]


def test_labels_on_what_differs_promote_the_shadow_and_the_ledger_says_by_what(made: Release, postgres: str) -> None:
    version = challenged(made)
    logged(postgres, TEXTS)
    answer(made, "lovely")
    one = current(made)
    assert (one.version, one.champion_version, one.answered, one.differed) == (version, 1, 120, 60)
    assert {text.split(" film")[0] for text, *_ in asked(made)} == {"a fine", "a lovely"}, "and no other is asked about"
    decisions.decide(made.desk)
    assert made.decided == 1, "no label says anything yet"
    told = decisions.standing(made.settings, films(made))
    assert told and told["text"].endswith(
        "next: label 60 texts that it and the Champion answer differently, at /console/label"
    )
    client = training.client(made.settings)
    assert client.get("/shadow?classifier=films").get_json() == {"classifier": "films", "shadow": told}
    assert label(made, 6, "lovely") == 6
    metrics = client.get("/metrics").text
    assert f'shadow_labels{{classifier="films",model_version="{version}"}} 6.0' in metrics
    assert f'shadow_evidence{{classifier="films",model_version="{version}",that_it_is="better"}} 18.1' in metrics
    (served,) = view.served(made.desk)
    assert served["shadow"].startswith("version 2: 6 labels, evidence 18.1 of 20 that it is better, ")
    decisions.decide(made.desk)
    assert made.decided == 1
    label(made, 1, "lovely")
    decisions.decide(made.desk)
    newest = ledger.newest(made.settings.database_url, NAME)
    assert newest and (newest.from_version, newest.to_version) == (1, version)
    assert (newest.who, newest.verdict, newest.job_id) == ("labels", "promoted", None)
    assert newest.reason == (
        "7 labels on texts that it and the Champion, version 1, answer differently: version 2 is right on 7, "
        "the Champion on 0; evidence 31.9 that it is better, 20 were asked for"
    )
    proof = newest.evidence["shadow"]
    assert (proof["won"], proof["lost"], proof["champion_version"]) == (7, 0, 1) and proof["better"] > 20
    made.settle()
    assert made.alias == version and made.desk.state()["served"]
    assert ledger.breaks(made.settings.database_url) == []
    assert shadows.current(made.settings.database_url, NAME) is None
    assert len(asked(made)) == 7, "nobody labels the rest in vain"
    told = decisions.standing(made.settings, films(made))
    assert told and told["outcome"] == "promoted" and told["labels"] == 7
    with connected(postgres) as owner:
        rows = owner.execute("SELECT count(*) FROM film_train WHERE text LIKE '%number%' AND text ~ 'lovely|fine film'")
        assert rows.fetchone() == (13,), "each label is a training row too"


def test_the_reverse_drops_it_and_its_files_may_go(made: Release, postgres: str) -> None:
    version = challenged(made)
    logged(postgres, TEXTS)
    answer(made, "lovely")
    label(made, 7, "fine")
    decisions.decide(made.desk)
    newest = ledger.newest(made.settings.database_url, NAME)
    assert newest and (newest.from_version, newest.to_version, newest.verdict) == (1, 1, "shadow_dropped")
    assert newest.reason.endswith(
        "the Champion on 7; evidence 31.9 that it is worse, 20 were asked for. To serve it all the same: "
        f'sh launch.sh promote {version} --classifier films --reason "…"'
    )
    assert shadows.current(made.settings.database_url, NAME) is None and len(asked(made)) == 7
    told = decisions.standing(made.settings, films(made))
    assert told and told["text"].startswith(f"version {version} is the shadow no more (dropped): 7 labels")


def test_the_janitor_keeps_its_files_while_it_is_the_shadow(made: Release) -> None:
    version = challenged(made)
    for _ in range(5):
        challenged(made, shadow=False)
    with connected(made.settings.database_url.replace("//platform:@", "//postgres:@")) as owner:
        owner.execute("UPDATE training_versions SET registered_at = registered_at - interval '1 year'")
    removed = janitor.clean(made.settings).removed
    assert len(removed) == 2 and not any(f"version {version} " in one for one in removed)
    with connected(made.settings.database_url, "platform") as connection:
        asked = [NAME, version, "whatever"]
        assert connection.execute("SELECT remove_version_files(%s, %s, %s)", asked).fetchone() == (False,)
    with database.connect(made.settings.database_url) as own:
        shadows.end(own, NAME, "ended", "of a test")
    removed = janitor.clean(made.settings).removed
    assert any(f"version {version} " in one for one in removed), "and then it goes as others do"


def test_it_goes_on_where_it_was_stopped_and_no_text_is_asked_or_counted_twice(
    made: Release, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenged(made)
    logged(postgres, TEXTS)
    url = made.settings.database_url
    monkeypatch.setattr(answering, "AT_ONCE", 16)
    assert answering.step(url, films(made), current(made), Says("lovely"), NOTHING)
    before = current(made)
    # Stopped after the texts were added and before that was noted: it does the same again.
    items.add(url, "films", [New("disagreement", text) for text in TEXTS[16:20]])
    answer(made, "lovely")
    logged(postgres, TEXTS, of="again", ago=20)
    answer(made, "lovely")
    assert before.answered == 16 and current(made).answered == 240
    assert len(asked(made)) == len({text for text, *_ in asked(made)}) == 62
    with connected(url, "platform") as connection:  # as if it had not been noted
        connection.execute("UPDATE label_queue.shadows SET seen_at = NULL")
    answer(made, "lovely")
    assert len(asked(made)) == 62


def test_only_answers_of_the_champion_with_a_text_that_it_has_not_learned(made: Release, postgres: str) -> None:
    challenged(made)
    logged(postgres, ["a lovely one", "a lovely two", "", None], of="a")
    logged(postgres, ["a lovely three"], version=9, of="b")
    logged(postgres, ["a lovely four"], classifier="other", of="c")
    logged(postgres, ["a lovely five"], classifier=NAME, of="d")
    hashes = np.sort(np.frombuffer(row_hash("train", "a lovely two", "bad")[:8], ">u8").astype(np.uint64))
    answer(made, "lovely", Learned({"train": hashes, "test": hashes[:0]}, ["bad", "good"], 1000))
    assert sorted(text for text, *_ in asked(made)) == ["a lovely five", "a lovely one"]
    assert not answering.step(made.settings.database_url, films(made), current(made), Says("lovely"), NOTHING)


def test_no_text_is_asked_that_nobody_reads(made: Release, postgres: str) -> None:
    challenged(made)
    logged(postgres, ["a lovely one", f"a lovely {'x' * pick.LARGEST}"])
    answer(made, "lovely")
    assert [text for text, *_ in asked(made)] == ["a lovely one"]


@pytest.mark.parametrize("stands", [True, False])
def test_while_a_shadow_stands_no_text_is_chosen_for_what_the_champion_is_unsure_of(
    made: Release, postgres: str, stands: bool
) -> None:
    """It would be labelled as such, and missing among those on which the two differ."""
    challenged(made, shadow=stands)
    sure, unsure = ([f"{name} {'abcdefghij'[n] * 9}" for n in range(10)] for name in ("a fine", "a dull"))
    logged(postgres, [*sure, *unsure])  # with 0.9 and 0.8
    settings = replace(made.settings, label_choice="margin", label_open=25, label_shares=(0, 40, 0))
    pick.fill(settings, films(made))
    with connected(made.settings.database_url, "platform") as connection:
        found = {text for (text,) in connection.execute("SELECT text FROM label_queue.items")}
    assert len(found) == 10 and (found == set(unsure)) is not stands


def test_a_text_that_waits_because_the_champion_was_unsure_is_asked_for_the_shadow_now(
    made: Release, postgres: str
) -> None:
    version = challenged(made)
    url = made.settings.database_url
    items.add(url, "films", [New("uncertain", "a lovely one"), New("audit", "a lovely two"), New("uncertain", "dull")])
    logged(postgres, ["a lovely one", "a lovely two", "dull"])
    answer(made, "lovely")
    with connected(url, "platform") as connection:
        found = connection.execute("SELECT text, reason, shadow_version FROM label_queue.items ORDER BY 1").fetchall()
    assert found == [
        ("a lovely one", "disagreement", version),
        ("a lovely two", "audit", None),
        ("dull", "uncertain", None),
    ]


def test_texts_that_are_kept_for_audits_and_answers_without_a_text_are_passed_by(
    made: Release, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pick, "HELD_OUT", 51)
    challenged(made)
    logged(postgres, [None] * 200, of="none", ago=40)
    logged(postgres, TEXTS)
    answer(made, "lovely")
    found = [text for text, *_ in asked(made)]
    assert 30 < len(found) < 60 and not any(pick.for_audits(films(made), text) for text in found)
    assert not texts.following(postgres, films(made), current(made), 1), "none is looked at again"


def test_a_few_texts_wait_for_others(made: Release, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training_endpoint.shadow.rounds.WAITS", timedelta(seconds=30))
    challenged(made)
    rounds = Rounds(made.settings, ("false",))
    logged(postgres, ["a lovely film"], ago=20)
    rounds.look()
    assert rounds.rests == {}
    logged(postgres, ["a lovely film"], of="earlier", ago=40)
    rounds.look()
    assert list(rounds.rests) == [current(made).id]


def test_what_waits_for_labels_is_bounded(made: Release, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training_endpoint.shadow.rounds.WAITS", timedelta(0))
    challenged(made)
    logged(postgres, TEXTS)
    settings = replace(made.settings, label_open=60, label_shares=(100, 0, 0))
    rounds = Rounds(settings, ("false",))
    answer(made, "lovely")
    rounds.look()
    assert rounds.rests == {}, "nothing was started: there is no room"
    label(made, 1, "lovely")
    logged(postgres, ["another lovely film"], of="more", ago=20)
    rounds.look()
    assert list(rounds.rests) == [current(made).id]


def test_a_round_fills_the_room_that_there_is_and_no_more(
    made: Release, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenged(made)
    logged(postgres, TEXTS)
    monkeypatch.setattr(answering, "_loaded", lambda settings, shadow: (Says("lovely"), NOTHING))
    answering.main("films", replace(made.settings, label_open=10, label_shares=(100, 0, 0)))
    assert len(asked(made)) == 10


def test_a_label_that_is_taken_back_in_time_counts_for_nobody(made: Release, postgres: str) -> None:
    challenged(made)
    logged(postgres, TEXTS)
    answer(made, "lovely")
    label(made, 6, "lovely")
    url = made.settings.database_url
    item = items.take(url, "films", ANNA, {"disagreement": 1.0})
    assert item is not None
    items.submit(url, item.id, str(item.shadow_label), ANNA)
    settle.apply(made.settings)
    decisions.decide(made.desk)
    assert made.decided == 1, "it can be taken back still"
    items.undo(url, item.id, ANNA)
    items.submit(url, item.id, str(item.champion_label), ANNA)
    settle.apply(made.settings, undo_s=0)
    decisions.decide(made.desk)
    assert made.decided == 1
    assert shadows.tally(url, films(made), current(made))[0].lost == 1


def test_another_champion_ends_it(made: Release, postgres: str) -> None:
    version = challenged(made)
    logged(postgres, TEXTS)
    answer(made, "lovely")
    url = made.settings.database_url
    held = items.take(url, "films", ANNA, {"disagreement": 1.0})
    other = challenged(made, "promoted", shadow=False)
    told = decisions.standing(made.settings, films(made))
    assert told and told["text"] == (
        f"version {version} is the shadow no more (ended): version {other} is the Champion now, and what was counted "
        "was against another one"
    )
    assert held and [text for text, *_ in asked(made)] == [held.text], "it is on somebody's screen"
    items.let_go(url, ANNA)
    decisions.decide(made.desk)
    assert asked(made) == []
    with connected(url, "platform") as connection:
        because = connection.execute("SELECT DISTINCT because FROM label_queue.items").fetchall()
    assert because == [(f"asked for the sake of version {version}, which is the shadow no more",)]
    again = challenged(made)
    assert current(made).champion_version == other
    made.settle()
    by_hand(made, "override", 1)
    decisions.decide(made.desk)
    assert shadows.current(made.settings.database_url, NAME) is None, f"{again} stood against {other}"


def test_a_newer_one_takes_its_place_and_what_was_asked_for_the_other_is_withdrawn(
    made: Release, postgres: str
) -> None:
    challenged(made)
    logged(postgres, TEXTS)
    answer(made, "lovely")
    newer = challenged(made)
    assert current(made).version == newer and asked(made) == []
    answer(made, "lovely")
    assert {one[3] for one in asked(made)} == {newer} and len(asked(made)) == 60


def test_what_is_found_wrong_with_one_does_not_end_the_next(made: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    challenged(made)
    newer: list[int] = []

    def lost(settings: Any, shadow: Shadow) -> Any:
        newer.append(challenged(made))  # while the older one was being loaded
        raise UnknownVersion("MLflow has lost it.")

    monkeypatch.setattr(answering, "_loaded", lost)
    answering.main("films", made.settings)
    assert [current(made).version] == newer


def test_a_pinned_champion_stays_until_it_is_let_go(made: Release, postgres: str) -> None:
    version = challenged(made)
    logged(postgres, TEXTS)
    answer(made, "lovely")
    by_hand(made, "override", 1, pinned=True)
    label(made, 8, "lovely")
    decisions.decide(made.desk)
    assert made.decided == 1
    told = decisions.standing(made.settings, films(made))
    assert told and told["text"].endswith("but version 1 is pinned: sh launch.sh unpin")
    by_hand(made, "unpin", None)
    decisions.decide(made.desk)
    assert made.decided == version


def test_the_database_decides_once_and_only_for_a_shadow_of_the_champion(made: Release) -> None:
    version = challenged(made)
    url = made.settings.database_url

    def decide(version: int, compared_with: int) -> None:
        with database.connect(url) as connection:
            ledger.decide_by_labels(connection, NAME, version, compared_with, True, "because", {})

    with pytest.raises(ChampionChanged):
        decide(version, 7)
    with pytest.raises(NoShadow):
        decide(1, 1)
    decide(version, 1)
    with pytest.raises(ChampionChanged):
        decide(version, 1)
    with connected(url, "platform") as platform, pytest.raises(psycopg.errors.InsufficientPrivilege):
        platform.execute("DELETE FROM label_queue.shadows")
    ledger.decide_by_hand(url, NAME, "Labels", "override", "x", to_version=1, pinned=False)
    newest = ledger.newest(url, NAME)
    assert newest and newest.who == "somebody called Labels"


def test_switched_off_it_ends_and_without_a_classifier_too(made: Release, postgres: str) -> None:
    challenged(made)
    off = replace(made.settings, shadow=False)
    decisions.decide(Desk(off, made.desk.reconciler))
    last = shadows.newest(made.settings.database_url, NAME)
    assert last and last.because == "SHADOW is off"
    challenged(made)
    with connected(postgres) as owner:
        owner.execute("UPDATE classifiers SET retired_at = now(), is_default = false")
    decisions.decide(made.desk)
    last = shadows.newest(made.settings.database_url, NAME)
    assert last and last.because == "its classifier was retired"


def test_a_process_that_fails_is_left_alone_for_a_while(
    made: Release, postgres: str, caplog: pytest.LogCaptureFixture
) -> None:
    challenged(made)
    logged(postgres, TEXTS)
    rounds = Rounds(made.settings, ("false",))
    rounds.look()
    rounds.look()
    assert [record.message for record in caplog.records if "did not answer" in record.message] == [
        "the shadow of films did not answer; again in 300 seconds"
    ]
    assert texts.following(made.settings.database_url, films(made), current(made), 1)


@pytest.mark.parametrize("kept", [[], [None, None]])
def test_without_texts_in_the_log_it_waits_and_says_why(made: Release, postgres: str, kept: list[None]) -> None:
    challenged(made)
    logged(postgres, kept)
    rounds = Rounds(made.settings, ("false",))
    rounds.look()
    assert rounds.rests == {}, "nothing was started"
    told = decisions.standing(made.settings, films(made))
    assert told and told["text"].endswith(
        "it has answered no text of the log yet: it begins soon, where PREDICTION_LOG=full keeps them"
    )
    told = decisions.standing(replace(made.settings, label_shares=(0, 80, 20)), films(made))
    assert told and "LABEL_DISAGREEMENTS is 0" in told["text"]
