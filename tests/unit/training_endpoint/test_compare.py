import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mlops_contract.words import Verdict
from training_endpoint.judge import compare
from training_endpoint.judge.checks import Check
from training_endpoint.judge.compare import Decision, Difference
from training_endpoint.judge.evaluate import Labels, Probabilities, metrics
from training_endpoint.judge.looks import FIRST, Looks

NAMES = ["no", "yes"]
METRICS = ("accuracy", "macro_f1", "log_loss")


def answers(right: list[bool], labels: Labels, sure: float = 0.9) -> Probabilities:
    """Probabilities of two classes that are right where `right` says so."""
    chosen = np.where(right, labels, 1 - labels)
    probabilities = np.full((len(labels), 2), 1 - sure)
    probabilities[np.arange(len(labels)), chosen] = sure
    return probabilities


def pair(both: int, won: int, lost: int, neither: int = 0) -> tuple[Probabilities, Probabilities, Labels]:
    """Challenger, Champion and labels with that many rows of each kind; labels alternate."""
    labels = np.arange(both + won + lost + neither) % 2
    challenger = [True] * (both + won) + [False] * (lost + neither)
    champion = [True] * both + [False] * won + [True] * lost + [False] * neither
    return answers(challenger, labels), answers(champion, labels), labels


def difference(metric: str, *counts: int) -> Difference:
    challenger, champion, labels = pair(*counts)
    return compare.difference(challenger, champion, labels, NAMES, metric, 0.05)


def decide(
    policy: str,
    *counts: int,
    metric: str = "accuracy",
    checks: tuple[Check, ...] = (),
    known: Looks = FIRST,
    new: tuple[str, ...] = (),
) -> Decision:
    challenger, champion, labels = pair(*counts)
    level = compare.level(policy, 0.05, known)
    found = compare.difference(challenger, champion, labels, NAMES, metric, level)
    told = metrics(challenger, labels), metrics(champion, labels)
    return compare.decide(policy, 0.05, checks, found, *told, known, new)


@given(won=st.integers(0, 60), lost=st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial_test_of_the_rows_that_differ(won: int, lost: int) -> None:
    one = np.array([True] * won + [False] * lost + [True] * 7)
    other = np.array([False] * won + [True] * lost + [True] * 7)
    expected = binomtest(won, won + lost, 0.5).pvalue if won + lost else 1.0
    assert compare.mcnemar(one, other) == pytest.approx(expected)
    assert compare.mcnemar(one, other) == pytest.approx(compare.mcnemar(other, one))


def test_mcnemar_known_values() -> None:
    ten = np.array([True] * 10)
    assert compare.mcnemar(ten, ~ten) == pytest.approx(2 / 2**10)
    assert compare.mcnemar(ten, ten) == 1.0


def test_a_clear_gain_has_an_interval_above_zero_and_needs_no_more_rows() -> None:
    found = difference("accuracy", 300, 60, 10, 30)
    assert found.value == pytest.approx(50 / 400)
    assert found.p_value < 1e-6 and 0 < found.low < found.value < found.high
    assert found.rows_needed == 0


def test_a_gain_inside_the_noise_names_the_rows_that_would_tell() -> None:
    few, more = difference("accuracy", 80, 6, 4, 10), difference("accuracy", 80, 9, 1, 10)
    assert few.p_value > 0.05 and few.low < 0 < few.high
    # 2 of 100 rows net, 10 of 100 differ: (2.80 * sqrt(0.1 - 0.0004) / 0.02)^2 rows in all, less the 100.
    assert few.rows_needed == pytest.approx(1953 - 100, rel=0.12)
    assert more.rows_needed == 0


def test_equal_models_are_equal() -> None:
    for metric in METRICS:
        found = difference(metric, 50, 0, 0, 10)
        assert (found.value, found.p_value, found.low, found.high, found.rows_needed) == (0, 1.0, 0, 0, None)


@pytest.mark.parametrize("metric", ["macro_f1", "log_loss"])
def test_the_bootstrap_tells_better_from_worse(metric: str) -> None:
    better, worse = difference(metric, 200, 60, 10, 30), difference(metric, 200, 10, 60, 30)
    assert better.value > 0 and better.low > 0 and better.p_value < 0.01
    assert worse.value < 0 and worse.high < 0 and worse.p_value < 0.01
    assert difference(metric, 80, 6, 6, 8).p_value > 0.3


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    chance = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        labels = np.arange(200) % 2
        challenger, champion = (answers(list(chance.random(200) < p), labels) for p in (0.9, 0.85))
        found = compare.difference(challenger, champion, labels, NAMES, "accuracy", 0.05)
        covered += found.low <= 0.05 <= found.high
    assert 88 <= covered <= 100


def test_changes_of_each_class_are_of_its_recall() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    challenger = answers([True, True, True, False, False, True], labels)
    champion = answers([True, False, False, False, True, True], labels)
    found = compare.difference(challenger, champion, labels, NAMES, "accuracy", 0.05)
    assert found.per_class == {"no": pytest.approx(0.5), "yes": pytest.approx(-0.5)}


@pytest.mark.parametrize(
    ("policy", "counts", "verdict"),
    [
        ("better", (300, 60, 10), Verdict.PROMOTED),
        ("better", (80, 6, 4), Verdict.PROMOTED),
        ("better", (80, 5, 5), Verdict.KEPT_NO_DIFFERENCE),
        ("better", (80, 4, 6), Verdict.KEPT_NO_DIFFERENCE),
        ("better", (300, 10, 60), Verdict.KEPT_WORSE),
        ("significant", (300, 60, 10), Verdict.PROMOTED),
        ("significant", (80, 6, 4), Verdict.KEPT_NO_DIFFERENCE),
        ("significant", (300, 10, 60), Verdict.KEPT_WORSE),
        ("always", (300, 10, 60), Verdict.PROMOTED),
        ("always", (80, 5, 5), Verdict.PROMOTED),
    ],
)
def test_policies(policy: str, counts: tuple[int, ...], verdict: Verdict) -> None:
    assert decide(policy, *counts).verdict is verdict


def test_a_gain_of_one_row_on_unchanged_rows_is_noise() -> None:
    decision = decide("sequential", 290, 8, 7, 15)
    assert decision.verdict is Verdict.KEPT_NO_DIFFERENCE
    assert "; p up to 0.0045 will do" in decision.text


def test_the_more_often_the_test_rows_were_looked_at_the_more_a_gain_must_show() -> None:
    counts = (280, 22, 6, 12)  # p = 0.0037
    assert decide("sequential", *counts).verdict is Verdict.PROMOTED
    kept = decide("sequential", *counts, known=Looks(earlier=8))
    assert kept.verdict is Verdict.KEPT_NO_DIFFERENCE and "p up to 0.0015 will do" in kept.text
    assert decide("sequential", 260, 40, 6, 14, known=Looks(earlier=8)).verdict is Verdict.PROMOTED


def test_new_training_rows_are_a_reason_of_their_own() -> None:
    small = (280, 20, 15, 5)
    assert decide("sequential", *small, known=Looks(3, 0.01)).verdict is Verdict.KEPT_NO_DIFFERENCE
    promoted = decide("sequential", *small, known=Looks(3, 0.3))
    assert promoted.verdict is Verdict.PROMOTED
    assert "30% of the training rows are new to the Champion, so any gain will do" in promoted.text
    for lost in ((280, 15, 15, 10), (280, 15, 20, 5)):
        assert not decide("sequential", *lost, known=Looks(3, 0.3)).verdict.moves_champion


def test_a_class_that_the_champion_cannot_answer_is_a_reason_where_the_rest_is_not_worse() -> None:
    for even in ((300, 5, 5, 10), (300, 3, 6, 11)):
        assert not decide("sequential", *even).verdict.moves_champion
        promoted = decide("sequential", *even, new=("mixed",))
        assert promoted.verdict is Verdict.PROMOTED and "learned the new class mixed" in promoted.text
    assert decide("sequential", 280, 5, 30, 5, new=("mixed",)).verdict is Verdict.KEPT_WORSE
    assert decide("significant", 300, 5, 5, 10, new=("mixed",)).verdict is Verdict.KEPT_NO_DIFFERENCE


def test_the_sentence_says_how_far_selection_may_flatter_the_champion() -> None:
    first, later = (decide("significant", 280, 15, 10, 15, known=Looks(earlier)) for earlier in (0, 99))
    assert "compared 1 time on these test rows, the Champion's accuracy may be flattered by up to 0.0129" in first.text
    assert "compared 100 times on these test rows, the Champion's accuracy may be flattered by up to 0.03" in later.text


def test_what_is_kept_ends_with_the_command_that_serves_it() -> None:
    failed = decide("sequential", 300, 60, 10, checks=(Check("c", False, "{why}"),))
    for kept in (failed, decide("sequential", 80, 4, 6)):
        assert kept.sentence("spam", 7).endswith(
            'serve it all the same: sh launch.sh promote 7 --classifier spam --reason "…"'
        )
    promoted = decide("sequential", 300, 60, 10)
    assert promoted.sentence("spam", 7) == promoted.text


def test_a_warning_is_said_and_serves() -> None:
    warning = Check("every class is found", False, "never found: b", blocks=False)
    for found in (None, difference("accuracy", 300, 60, 10)):
        decision = compare.decide(
            "always", 0.05, [warning], found, dict.fromkeys(METRICS, 0.8), dict.fromkeys(METRICS, 0.7)
        )
        assert decision.verdict.moves_champion
        assert decision.text.endswith("; warning: every class is found (never found: b)")


@pytest.mark.parametrize("policy", ["sequential", "better", "significant", "always"])
def test_no_policy_serves_what_failed_a_check(policy: str) -> None:
    failed = Check("answers are quick enough", False, "900.0 ms a text, limit 250 ms")
    decision = decide(policy, 300, 60, 10, checks=(Check("fine", True, ""), failed))
    assert decision.verdict is Verdict.KEPT_FAILED_CHECK
    assert "900.0 ms" in decision.text and "fine" not in decision.text


def test_the_first_model_is_the_champion_unless_a_check_fails() -> None:
    values = {"accuracy": 0.91, "macro_f1": 0.9, "log_loss": 0.3}
    assert compare.decide("better", 0.05, [], None, values, None).verdict is Verdict.FIRST_CHAMPION
    failed = compare.decide("better", 0.05, [Check("c", False, "why")], None, values, None)
    assert failed.verdict is Verdict.KEPT_FAILED_CHECK


def test_the_sentence_has_both_metrics_the_interval_and_the_noise() -> None:
    text = decide("significant", 80, 6, 4, 10).text
    assert "accuracy 0.8600 against 0.8400" in text and "p = 0.754" in text and "more test rows would tell" in text
