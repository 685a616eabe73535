import pytest

from mlops_contract.env import Env, SettingError, bypass_proxies


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


@pytest.mark.parametrize("value", ["a/b", "a:b", "a\x00b", ".."])
def test_a_models_name_is_one_that_the_registry_takes(value: str) -> None:
    with pytest.raises(SettingError, match="MODEL_NAME is"):
        Env({"MODEL_NAME": value}).model_name("MODEL_NAME", "text-classifier")
    assert Env({}).model_name("MODEL_NAME", "text-classifier") == "text-classifier"


@pytest.mark.parametrize("value", ["latest", "LATEST", "v2", "V10", "a b", "a/b", "é", "a" * 256])
def test_an_alias_is_one_that_the_registry_takes(value: str) -> None:
    with pytest.raises(SettingError, match="MODEL_ALIAS is"):
        Env({"MODEL_ALIAS": value}).model_alias("MODEL_ALIAS", "Champion")
    assert Env({"MODEL_ALIAS": "very-best_1"}).model_alias("MODEL_ALIAS", "Champion") == "very-best_1"


def test_neighbours_are_reached_without_a_proxy() -> None:
    variables = {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "example.org"}
    for _ in range(2):
        bypass_proxies(variables, "http://tracking-server:5001")
    assert variables["NO_PROXY"] == "example.org,tracking-server" and variables["no_proxy"] == "tracking-server"
