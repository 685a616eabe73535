import pytest

from mlops_contract.env import Env, SettingError


def test_unset_and_empty_mean_the_default() -> None:
    assert Env({}).integer("N", 3, 1, 9) == Env({"N": " "}).integer("N", 3, 1, 9) == 3


@pytest.mark.parametrize(("value", "said"), [("x", "whole number"), ("0", "from 1 to 9"), ("10", "from 1 to 9")])
def test_wrong_integer_names_the_setting_and_the_range(value: str, said: str) -> None:
    with pytest.raises(SettingError, match=rf"N is .*{said}"):
        Env({"N": value}).integer("N", 3, 1, 9)


def test_missing_mandatory_setting_says_where_it_comes_from() -> None:
    with pytest.raises(SettingError, match=r"TOKEN is not set: launch\.sh"):
        Env({}).text("TOKEN")


def test_choice_lists_the_choices() -> None:
    with pytest.raises(SettingError, match="one of a, b"):
        Env({"C": "z"}).choice("C", ("a", "b"), "a")
