import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from training_endpoint.data.snapshot import Rows, Snapshot
from training_endpoint.judge import compare, looks
from training_endpoint.judge.looks import Looks

counts = st.integers(0, 100_000)
shares = st.floats(0, 1)
levels = st.floats(0.0001, 0.5)


def snapshot(train: range, test: range = range(0)) -> Snapshot:
    rows = {
        split: Rows([f"{split} {n}" for n in numbers], [0] * len(numbers))
        for split, numbers in (("train", train), ("test", test))
    }
    return Snapshot("d", "d_train", "d_test", "text", "label", ["a"], rows["train"], rows["test"], "", "")


@given(significance=levels, many=st.integers(1, 2000))
def test_all_looks_together_spend_no_more_than_the_significance(significance: float, many: int) -> None:
    spent = sum(looks.level(Looks(earlier), significance) for earlier in range(many))
    assert spent <= significance
    if many > 9 * looks.EVEN_LOOKS:
        assert spent >= 0.9 * significance


@given(earlier=counts, more=counts, one=shares, other=shares, significance=levels)
def test_each_look_asks_for_more_and_each_new_row_for_less(
    earlier: int, more: int, one: float, other: float, significance: float
) -> None:
    less, most = sorted((one, other))
    level = looks.level(Looks(earlier, less), significance)
    assert 0 < looks.level(Looks(earlier + more, less), significance) <= level <= 1
    assert looks.level(Looks(earlier, most), significance) >= level
    assert looks.level(Looks(earlier, 1.0), significance) == 1


@given(train=st.integers(0, 400), added=st.integers(0, 400), gone=st.integers(0, 100))
def test_the_share_of_new_rows_is_told_from_sketches(train: int, added: int, gone: int) -> None:
    before, after = (looks.sketches(snapshot(rows)) for rows in (range(train), range(min(gone, train), train + added)))
    told = looks.fresh(after["train"], before)
    now = train + added - min(gone, train)
    if not train or not now:
        assert told == 0
    elif max(train, now) <= looks.SKETCH:
        assert told == pytest.approx(added / now)
    elif added == 0 and gone == 0:
        assert told == 0
    elif gone == 0:
        assert told == pytest.approx(added / now, abs=0.2)


def test_of_large_tables_the_sketch_is_as_small_and_good_to_a_few_percent() -> None:
    before, after = (looks.sketches(snapshot(range(rows)))["train"] for rows in (8_000, 10_000))
    assert len(before) == len(after) == looks.SKETCH
    assert looks.fresh(after, {"train": before}) == pytest.approx(0.2, abs=0.1)
    assert looks.fresh(after, None) == looks.fresh(after, {}) == 0


@effort(deadline=None)  # the first call imports scipy
@given(won=st.integers(0, 40), lost=st.integers(0, 40))
def test_the_exact_test_is_fair_to_both(won: int, lost: int) -> None:
    assert compare.exact(won, lost) == compare.exact(lost, won)
    assert 0 < compare.exact(won, lost) <= compare.exact(won, won) == 1


def test_two_equal_models_are_hardly_ever_told_apart() -> None:
    """The sum over all outcomes of equal models: what the first look promotes by chance is a half of its level."""
    differ = 30
    promoted = sum(
        math.comb(differ, won) / 2**differ
        for won in range(differ // 2 + 1, differ + 1)
        if compare.exact(won, differ - won) <= looks.level(looks.FIRST, 0.05)
    )
    assert promoted <= looks.level(looks.FIRST, 0.05) / 2


@pytest.mark.parametrize("times", [1, 8, 100])
def test_the_flattery_covers_what_selection_does(times: int) -> None:
    """Of equal models on the same rows the best looks better than it is, on average by less than what is said."""
    chance = np.random.default_rng(0)
    rows, correlation, luck = 320, 0.7, 1.2
    excess, spread = [], []
    for _ in range(200):
        easy = chance.normal(size=rows) * math.sqrt(correlation)
        right = chance.normal(size=(times + 1, rows)) * math.sqrt(1 - correlation) + easy < luck
        scores = right.mean(axis=1)
        excess.append(scores.max() - scores.mean())
        spread.append((right[0] != right[1]).mean() / rows)
    assert np.mean(excess) < looks.flattery(math.sqrt(np.mean(spread)), Looks(times - 1)) < 4 * np.mean(excess)


@pytest.mark.parametrize(("kept", "added", "share"), [(400, 0, 0.0), (400, 600, 0.0), (200, 0, 0.5), (0, 400, 1.0)])
def test_the_share_of_replaced_test_rows_is_told_from_sketches(kept: int, added: int, share: float) -> None:
    before = {"test": looks._sketch("test", Rows([f"row {n}" for n in range(400)], [0] * 400), ["a"])}
    texts = [f"row {n}" for n in range(kept)] + [f"new {n}" for n in range(added)]
    now = looks._sketch("test", Rows(texts, [0] * len(texts)), ["a"])
    assert looks.replaced(now, before) == pytest.approx(share, abs=0.15)
    assert looks.replaced(now, None) == looks.replaced(now, {}) == 0
