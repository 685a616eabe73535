"""The evidence of labels: known values, what it may never do, and that it is the same whatever the order."""

import math
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.integrate import quad

from training_endpoint.judge.evidence import Side, Tally, wealth


@pytest.mark.parametrize(("won", "lost", "found"), [(0, 0, 1), (1, 0, 1.5), (0, 1, 0.5), (5, 0, 10.5), (7, 0, 255 / 8)])
def test_known_values(won: int, lost: int, found: float) -> None:
    assert wealth(won, lost) == pytest.approx(found)


@pytest.mark.parametrize(("won", "lost"), [(3, 2), (20, 11), (11, 20), (150, 110), (400, 401)])
def test_it_is_the_mean_of_all_stakes_above_one_half(won: int, lost: int) -> None:
    mean, _ = quad(lambda p: 2 * (2 * p) ** won * (2 * (1 - p)) ** lost, 0.5, 1, limit=200, epsabs=1e-14)
    assert wealth(won, lost) == pytest.approx(mean, rel=1e-6)
    n = won + lost
    exact = Fraction(sum(comb(n + 1, k) for k in range(won + 1)), (n + 1) * comb(n, won))
    assert wealth(won, lost) == pytest.approx(float(exact), rel=1e-9)


def test_no_label_gains_or_loses_on_average_where_both_are_as_good_and_none_gains_where_one_is_worse() -> None:
    for won in range(60):
        for lost in range(60):
            up, down = wealth(won + 1, lost), wealth(won, lost + 1)
            assert down < wealth(won, lost) < up
            # A martingale at one half; at less than one half it falls, since `up` is more than `down`.
            assert (up + down) / 2 == pytest.approx(wealth(won, lost), rel=1e-12)


def test_it_is_a_number_whatever_comes() -> None:
    for won, lost in ((5000, 0), (0, 5000), (3000, 3000)):
        assert math.isfinite(wealth(won, lost)) and wealth(won, lost) >= 0


def test_a_label_on_which_neither_is_right_is_no_bet() -> None:
    assert Tally(9, 3, 0).better == Tally(9, 3, 40).better and Tally(9, 3, 40).labels == 52


def test_it_decides_for_either_side_at_the_level_that_is_asked_for_and_not_before() -> None:
    assert Tally(6, 0).decides(0.05) is None and Tally(7, 0).decides(0.05) is Side.SHADOW
    assert Tally(0, 6).decides(0.05) is None and Tally(0, 7).decides(0.05) is Side.CHAMPION
    assert Tally(7, 0).decides(0.01) is None and Tally(10, 0).decides(0.01) is Side.SHADOW
    assert Tally().decides(0.05) is None and Tally(40, 40).decides(0.05) is None
    for won in range(100):
        for lost in range(100):
            tally = Tally(won, lost)
            assert min(tally.better, tally.worse) <= 1, "never for both"


def test_of_two_that_are_as_good_it_says_so_seldom_however_often_one_looks() -> None:
    chance = np.random.default_rng(7)
    wrong = 0
    for _ in range(300):
        won = lost = 0
        for right in chance.random(200) < 0.5:
            won, lost = won + int(right), lost + int(not right)
            if Tally(won, lost).decides(0.05) is Side.SHADOW:
                wrong += 1
                break
    assert wrong <= 0.05 * 300
