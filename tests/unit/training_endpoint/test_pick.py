"""Which texts are asked: the least sure first, near-copies once."""

import pytest

from training_endpoint.labelling.pick import apart, margins


def test_a_margin_is_between_the_two_highest_scores() -> None:
    assert margins([{"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 1.0}, {"a": 0.1, "b": 0.9}]).tolist() == pytest.approx(
        [0.2, 1, 0.8]
    )
    assert margins([]).size == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Your code is 48213, do not tell it anybody", "your code is 99120, do not tell it anybody"),
        ("the reader was never quite sure of this one", "THE READER WAS\tNEVER QUITE SURE  OF THIS ONE!"),
        ("a", "A"),
        ("👍👍", "👍👍"),
        ("不错的电影,值得一看", "不错的电影,值得一看!"),
        ("x" * 5_000, "x" * 9_000),
    ],
)
def test_near_copies_are_asked_once(one: str, other: str) -> None:
    assert apart([one, other], [], 2) == [0] and apart([one], [other], 1) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What a wonderful film", "What a terrible film"),
        ("a", "b"),
        ("👍", "👎"),
        (":-)", ":-("),
        ("不错的电影", "很糟糕的书"),
        ("mail about an invoice", "a letter from my aunt"),
    ],
)
def test_texts_of_different_words_are_asked_both(one: str, other: str) -> None:
    assert apart([one, other], [], 2) == [0, 1]


def test_no_more_than_are_wanted() -> None:
    assert apart(["one text", "quite another", "something else"], [], 2) == [0, 1]
    assert apart(["one text"], ["something else"], 0) == []
