"""Labels that are perhaps wrong are found from scores alone, whatever the number of classes and rows."""

import numpy as np
import pytest

from training_endpoint.jobs import label_errors
from training_endpoint.jobs.label_errors import Found
from training_endpoint.judge import mislabelled
from training_endpoint.judge.evaluate import Labels, Probabilities


def scored(rows: int, classes: int, wrong: float, seed: int = 0) -> tuple[Probabilities, Labels, Labels]:
    """What a good model answers, the labels, and the places of those that are wrong."""
    chance = np.random.default_rng(seed)
    right = np.arange(rows) % classes
    scores = chance.dirichlet(np.full(classes, 0.5), rows) * 0.4
    scores[np.arange(rows), right] += 0.6
    places = np.sort(chance.choice(rows, round(wrong * rows), replace=False))
    labels = right.copy()
    labels[places] = (labels[places] + 1) % classes
    return scores, labels, places


@pytest.mark.parametrize(("rows", "classes"), [(400, 2), (1200, 60), (60, 2)])
def test_flipped_labels_come_first(rows: int, classes: int) -> None:
    scores, labels, wrong = scored(rows, classes, 0.1)
    found = mislabelled.suspects(scores, labels)
    assert len(found) <= 3 * len(wrong), "most rows are in no doubt"
    first = found[: len(wrong)]
    assert np.isin(first, wrong).mean() > 0.9 and np.isin(first, wrong).sum() >= 0.5 * len(wrong)
    suspicions = mislabelled.suspicion(scores[found], labels[found])
    assert (np.diff(suspicions) <= 1e-9).all() and ((suspicions >= 0) & (suspicions <= 1)).all()


def test_what_an_unsure_model_says_itself_is_in_no_doubt() -> None:
    classes = 100
    labels = np.arange(400) % classes
    scores = np.full((400, classes), 0.96 / (classes - 1))
    scores[np.arange(400), labels] = 0.04
    assert len(mislabelled.suspects(scores, labels)) == 0


def test_a_class_that_the_model_does_not_know_is_in_no_doubt() -> None:
    scores, labels, wrong = scored(300, 3, 0.05)
    new = np.arange(0, 300, 7)
    wide = np.column_stack([scores, np.zeros(300)])
    labels[new] = 3
    found = mislabelled.suspects(wide, labels)
    assert not np.isin(found, new).any() and np.isin(np.setdiff1d(wrong, new), found).mean() > 0.8


def test_one_row_of_each_class_says_little_and_breaks_nothing() -> None:
    scores, labels, _ = scored(90, 60, 0.1)
    assert len(mislabelled.suspects(scores, labels)) < 20


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_a_few_rows_say_little_and_break_nothing(rows: int) -> None:
    scores, labels, _ = scored(max(rows, 1), 2, 0)
    assert len(mislabelled.suspects(scores[:rows], labels[:rows])) == 0
    assert len(mislabelled.suspects(scores[:rows], np.ones(rows, np.int64))) == 0


def test_rows_without_a_score_are_left_out() -> None:
    scores, labels, wrong = scored(200, 2, 0.1)
    scores[wrong[0]] = np.nan
    scores[wrong[1]] = 0
    found = mislabelled.suspects(scores, labels)
    assert not np.isin(found, wrong[:2]).any() and np.isin(wrong[2:], found).mean() > 0.8


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([Found("train"), Found("test", 0, 500)], ""),
        (
            [Found("train", 1, 20), Found("test", 0, 500)],
            "1 label is perhaps wrong (1 of training rows): look at it on the page to label",
        ),
        (
            [Found("train", 2, 20), Found("test", 3, 500)],
            "5 labels are perhaps wrong (2 of training rows and 3 of test rows): look at them on the page to label",
        ),
        (
            [Found("train", trouble="ValueError: odd"), Found("test", 1, 500)],
            "1 label is perhaps wrong (1 of test rows): look at it on the page to label; wrong labels among the new "
            "rows were not looked for: ValueError: odd",
        ),
    ],
)
def test_the_verdict_says_how_many_stand(found: list[Found], said: str) -> None:
    assert label_errors.sentence(found) == said
