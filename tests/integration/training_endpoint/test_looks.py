"""How often the same test rows have been looked at is what the ledger's decisions say."""

from typing import Any

import pytest

from training_endpoint.data.snapshot import Rows, Snapshot
from training_endpoint.database import connect
from training_endpoint.judge import looks
from training_endpoint.judge.looks import Looks
from training_endpoint.release import ledger
from training_endpoint.release.ledger import Ruling

COMPARED = {"metric": "accuracy"}


def sketches(train: int, test: range) -> dict[str, list[str]]:
    rows = {"train": range(train), "test": test}
    split = {name: Rows([f"text {n}" for n in numbers], [0] * len(numbers)) for name, numbers in rows.items()}
    return looks.sketches(
        Snapshot("d", "d_train", "d_test", "text", "label", ["a"], split["train"], split["test"], "", "")
    )


def decided(url: str, version: int, **evidence: Any) -> None:
    """A job's decision on the model `m` about its challenger `version`."""
    ruling = Ruling(None, False, None, "kept_no_difference", "x", {"challenger_version": version, **evidence})
    with connect(url) as connection:
        job = f"job-{version}"
        connection.execute("INSERT INTO training_jobs (job_id, run_id, status) VALUES (%s, %s, 'running')", [job, job])
        ledger.decide_for_job(connection, "m", job, ruling)


def test_only_comparisons_on_the_same_test_rows_count(database: str) -> None:
    rows = sketches(100, range(100))
    assert ledger.looks(database, "m", rows, 1) == Looks(0, 0)
    decided(database, 1, difference=None, rows=rows)  # the first Champion was compared with nobody
    assert ledger.looks(database, "m", rows, 1) == Looks(0, 0)
    for version in (2, 3):
        decided(database, version, difference=COMPARED, rows=rows)
    ledger.decide_by_hand(database, "m", "ada", "pinned", "x", to_version=None, pinned=False)
    decided(database, 4, difference=COMPARED)  # of an older release, which kept no rows
    assert ledger.looks(database, "m", rows, 1) == Looks(2, 0)
    assert ledger.looks(database, "other", rows, 1) == Looks(0, 0)
    assert ledger.looks(database, "m", sketches(100, range(1000, 1100)), 1).earlier == 0
    grown = ledger.looks(database, "m", sketches(100, range(125)), 1)
    assert grown.earlier == pytest.approx(2 * 100 / 125)


def test_the_share_of_new_rows_is_that_of_the_champion_whoever_it_is(database: str) -> None:
    test = range(10)
    for version, train in ((1, 50), (2, 80)):
        decided(database, version, difference=COMPARED, rows=sketches(train, test))
    challenger = sketches(100, test)
    assert ledger.looks(database, "m", challenger, 1).fresh == pytest.approx(0.5)
    assert ledger.looks(database, "m", challenger, 2).fresh == pytest.approx(0.2)
    assert ledger.looks(database, "m", challenger, 9).fresh == 0
