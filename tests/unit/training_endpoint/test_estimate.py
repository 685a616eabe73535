"""Accuracy that is estimated from scores, and alarms: right where answers get worse, silent where they do not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.monitoring.simulated import NAMES, START, answers, days, of_tests, raised, window
from training_endpoint.monitor import estimate, report
from training_endpoint.monitor.estimate import Answered, Numbers, Reference, Summary
from training_endpoint.monitor.hours import Hour
from training_endpoint.monitor.spoiling import misspelt


@pytest.mark.parametrize("sure", [0.7, 1, 2, 3])
def test_confidences_are_what_a_model_knows_whatever_it_says(sure: float) -> None:
    probabilities, labels = answers(np.random.default_rng(1), 20_000, 4, sure)
    tested = Answered(probabilities, labels)
    found, right = estimate.calibrate(tested), tested.right
    assert found.slope == pytest.approx(1 / sure, rel=0.1) and found.start == pytest.approx(0, abs=0.1)
    for low in (0.5, 0.7, 0.9):
        some = np.abs(estimate.confidences(probabilities, found) - low - 0.05) < 0.05
        assert right[some].mean() == pytest.approx(low + 0.05, abs=0.03)


def test_a_model_that_is_never_wrong_on_its_test_rows_is_still_doubted() -> None:
    probabilities = np.array([[0.999999, 0.000001]] * 50)
    known = estimate.reference(Answered(probabilities, np.zeros(50, np.int64), [1.0] * 50), NAMES, ["x"] * 50)
    assert known.accuracy == 1 and 0.9 < estimate.confidences(probabilities, known.calibration)[0] < 1
    summary = estimate.summarise(np.array([0.99, 0.5]), [1, 2], ["bad", "good"], known.threshold)
    assert 0 < estimate.cbpe(summary, known).low < estimate.cbpe(summary, known).high <= 1


def spelt(rng: np.random.Generator, rows: int, more: float) -> tuple[Numbers, NDArray[np.int64], list[float | None]]:
    """Answers that are as sure as ever and less often right the more tokens by word their texts have; and these."""
    pieces = np.maximum(1, rng.normal(1.3 + more, 0.2, rows))
    odds = rng.normal(3, 1, rows)
    right = rng.random(rows) < 1 / (1 + np.exp(-(odds - 1 - 3 * (pieces - 1.3))))
    good = 1 / (1 + np.exp(-odds))
    return np.stack([1 - good, good], axis=1).round(6), right.astype(np.int64), pieces.tolist()


@pytest.mark.parametrize("more", [0, 0.2, 0.4])
def test_words_that_are_no_words_make_answers_less_sure(more: float) -> None:
    rng = np.random.default_rng(5)
    probabilities, labels, pieces = spelt(rng, 2000, 0)
    known = estimate.reference(Answered(probabilities, labels, pieces), NAMES, ["x"] * 2000)
    probabilities, labels, pieces = spelt(rng, 5000, more)
    sure = estimate.confidences(probabilities, known.calibration, pieces)
    summary = estimate.summarise(sure, [1] * 5000, ["good"] * 5000, known.threshold)
    assert estimate.cbpe(summary, known).accuracy == pytest.approx(labels.mean(), abs=0.03)


def test_misspelt_copies_of_the_test_rows_say_what_misspelling_costs() -> None:
    rng = np.random.default_rng(9)
    tested, spoilt = spelt(rng, 1000, 0), spelt(rng, 1000, 0.5)
    even = [1.3] * 1000  # test rows that are all spelt alike tell nothing of it
    known = estimate.reference(Answered(*tested[:2], even), NAMES, ["x"] * 1000, Answered(*spoilt))
    probabilities, labels, pieces = spelt(rng, 5000, 0.4)
    sure = estimate.confidences(probabilities, known.calibration, pieces)
    assert sure.mean() == pytest.approx(labels.mean(), abs=0.04)
    alone = estimate.reference(Answered(*tested[:2], even), NAMES, ["x"] * 1000)
    assert estimate.confidences(probabilities, alone.calibration, pieces).mean() > labels.mean() + 0.1


def test_a_copy_is_misspelt_in_some_words_alone() -> None:
    text = "a wonderful little film of people who are in love"
    some, most = misspelt([text] * 200, 0.2), misspelt([text] * 200, 1)
    assert some == misspelt([text] * 200, 0.2) and len(set(some)) > 50
    words = [word for copy in some for word in copy.split()]
    changed = sum(word not in text.split() for word in words)
    assert 0.1 < changed / len(words) < 0.2, "short words stay"
    assert all(len(copy) == len(text) - 7 for copy in most) and misspelt(["", "a"], 1) == ["", "a"]


def test_what_no_test_row_was_like_is_not_reckoned_beyond_them() -> None:
    probabilities, labels, pieces = spelt(np.random.default_rng(5), 2000, 0)
    found = estimate.calibrate(Answered(probabilities, labels, pieces))
    one = probabilities[:1]
    most = max(one for one in pieces if one is not None)
    assert estimate.confidences(one, found, [most * 9]) == estimate.confidences(one, found, [most])
    assert estimate.confidences(one, found, [None]) == estimate.confidences(one, found)


def test_a_model_that_knows_two_scores_alone_is_as_right_as_on_its_test_rows() -> None:
    probabilities = np.array([[0.1, 0.9], [0.3, 0.7]] * 500)
    labels = np.array([[int(n > 0), int(n > 2)] for n in range(10)] * 50).ravel()
    known = estimate.reference(Answered(probabilities, labels), NAMES, ["x"] * 1000)
    for estimated in (estimate.cbpe, estimate.atc, estimate.both):
        assert estimated(known.summary, known).accuracy == pytest.approx(0.8, abs=0.01)


def test_a_reference_of_an_earlier_release_is_read() -> None:
    known = of_tests(np.random.default_rng(4)).as_dict()
    del known["calibration"]
    found = Reference.from_dict({**known, "temperature": 2.0})
    probabilities = np.array([[0.1, 0.9]])
    odds = np.sqrt(np.array([0.1, 0.9]))
    assert estimate.confidences(probabilities, found.calibration)[0] == pytest.approx(odds[1] / odds.sum())


@pytest.mark.parametrize("skill", [1, 2, 4])
def test_estimates_are_near_the_truth_as_traffic_gets_harder(skill: float) -> None:
    rng = np.random.default_rng(2)
    known = of_tests(rng, 2000)
    errors, held = [], 0
    for _ in range(200):
        summary, true = window(rng, known, 200, skill)
        found = estimate.cbpe(summary, known)
        errors.append(abs(found.accuracy - true))
        held += found.low <= true <= found.high
    assert np.mean(errors) < 0.035
    assert held >= 175, "an interval of 95 % holds the truth"


def test_summaries_add_up() -> None:
    rng = np.random.default_rng(3)
    known = of_tests(rng)
    probabilities, _ = answers(rng, 100, 4, 2)
    sure = estimate.confidences(probabilities, known.calibration)
    labels = [NAMES[index] for index in probabilities.argmax(axis=1)]
    whole = estimate.summarise(sure, list(range(100)), labels, known.threshold)
    parts = [
        estimate.summarise(sure[part], list(range(100))[part], labels[part], known.threshold)
        for part in (slice(0, 30), slice(30, 100))
    ]
    added = parts[0] + parts[1]
    assert added.rows == whole.rows and added.classes == whole.classes and added.above == whole.above
    assert added.confidences == whole.confidences and added.lengths == whole.lengths
    assert added.confidence == pytest.approx(whole.confidence)


def test_a_reference_comes_back_as_it_was_kept() -> None:
    known = of_tests(np.random.default_rng(4))
    assert Reference.from_dict(known.as_dict()) == known


@pytest.mark.parametrize("rows", [5, 100])
def test_quiet_days_raise_no_alarm(rows: int) -> None:
    rng = np.random.default_rng(rows)
    known = of_tests(rng)
    assert raised(days(rng, known, 30, rows), known) == {"accuracy": [], "drift": []}


def test_a_loss_of_five_points_is_an_alarm_within_two_days() -> None:
    rng = np.random.default_rng(6)
    known = of_tests(rng)
    quiet, worse = days(rng, known, 3, 100), days(rng, known, 2, 100, 3, skill=2.2)
    true = np.mean([window(rng, known, 20_000, skill)[1] for skill in (4, 4)]) - window(rng, known, 20_000, 2.2)[1]
    assert 0.04 < true < 0.1, "this is a loss of about five points"
    found = raised(quiet + worse, known)["accuracy"]
    assert found and found[0] > 72, "and not before"
    text = next(one.text for one in report.judge((quiet + worse)[-40:], known, 0.02) if one.kind == "accuracy")
    assert "estimated" in text and "%" in text


def test_traffic_of_another_kind_is_drift_and_names_what_is_other() -> None:
    rng = np.random.default_rng(7)
    known = of_tests(rng)
    longer = [
        Hour(one.hour, 1, one.rows, Summary(**{**vars(one.summary), "lengths": [0] * 30 + [one.rows] + [0] * 10}))
        for one in days(rng, known, 2, 50)
    ]
    (alarm,) = report.judge(longer, known, 0.02)
    assert alarm.kind == "drift" and "lengths (1.00)" in alarm.text and "scores" not in alarm.text


def test_few_rows_and_a_log_without_texts_are_judged_by_what_there_is() -> None:
    rng = np.random.default_rng(8)
    known = of_tests(rng)
    summary = estimate.summarise(np.array([0.9]), [-1], ["good"], known.threshold)
    assert set(estimate.drift(summary, known)) == {"scores", "classes"}
    assert report.judge([Hour(START, 1, 1, summary)], known, 0.02) == []


def test_the_true_accuracy_has_an_interval_that_holds_with_few_labels() -> None:
    found = estimate.counted(3, 3)
    assert (found.accuracy, found.high) == (1, 1) and 0.3 < found.low < 0.6
    assert estimate.counted(0, 3).low == 0
