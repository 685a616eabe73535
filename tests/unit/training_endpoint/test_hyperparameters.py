from typing import Any

import pytest

from training_endpoint.errors import InvalidOverride
from training_endpoint.learn.hyperparameters import Hyperparameters

DEFAULTS = Hyperparameters(base_model="embedded")


def test_what_is_given_replaces_the_default() -> None:
    given = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-5, "seed": 7, "max_rows": 100, "start_from": "champion"}
    parameters = Hyperparameters.from_request({**given, "base_model": " org/name "}, DEFAULTS)
    assert {name: getattr(parameters, name) for name in given} == given
    assert parameters.base_model == "org/name" and parameters.weight_decay == DEFAULTS.weight_decay
    assert Hyperparameters.from_request({}, DEFAULTS) == DEFAULTS


def test_what_a_request_says_of_epochs_holds_for_a_run_from_the_champion_too() -> None:
    told = Hyperparameters.from_request({"epochs": 4}, DEFAULTS)
    assert (told.epochs, told.warm_epochs, told.warm_learning_rate) == (4, 4, DEFAULTS.warm_learning_rate)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("epochs", float("inf"), "1 to 100"),
        ("epochs", float("nan"), "1 to 100"),
        ("epochs", 10**300, "1 to 100"),
        ("base_model", "a\0b", "up to 300 characters"),
        ("base_model", "\ud800", "up to 300 characters"),
        ("start_from", ["champion"], "base, champion"),
        ("epochs", 0, "1 to 100"),
        ("epochs", 2.5, "whole number"),
        ("epochs", True, "whole number"),
        ("epochs", None, "whole number"),
        ("batch_size", "16", "1 to 1024"),
        ("learning_rate", 1, "1e-07 to 0.01"),
        ("learning_rate", float("nan"), "1e-07 to 0.01"),
        ("seed", -1, "0 to"),
        ("max_rows", 1, "2 to"),
        ("base_model", "", "embedded, a folder or a hub id"),
        ("base_model", 3, "embedded, a folder or a hub id"),
        ("start_from", "zero", "base, champion"),
        ("training_mode", "warm", "auto, full"),
        ("weight_decay", 0.1, "epochs"),
    ],
)
def test_a_wrong_one_is_named_with_its_range(field: str, value: Any, told: str) -> None:
    with pytest.raises(InvalidOverride) as caught:
        Hyperparameters.from_request({field: value}, DEFAULTS)
    assert caught.value.status == 422
    assert field in caught.value.message and told in caught.value.message


def test_a_whole_number_may_be_written_as_a_float() -> None:
    found = Hyperparameters.from_request({"epochs": 2.0, "batch_size": 16.0}, DEFAULTS)
    assert (found.epochs, type(found.epochs), type(found.batch_size)) == (2, int, int)
