"""The token before a change counts for a while, on both sides."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from mlops_contract.env import Env, SettingError
from mlops_contract.tokens import Tokens


def read(before: str) -> Tokens:
    return Tokens.read(Env({"PLATFORM_TOKEN": "new", "PLATFORM_TOKEN_BEFORE": before}))


@pytest.mark.parametrize(("left", "accepted"), [(60, True), (-60, False)])
def test_the_token_before_is_accepted_until_its_time_is_over(left: int, accepted: bool) -> None:
    tokens = read(f"old one {time.time() + left:.0f}")
    assert tokens.accept("Bearer new")
    assert tokens.accept("Bearer old one") is accepted
    assert not tokens.accept("Bearer ") and not tokens.accept("") and not tokens.accept("Bearer old")


def test_without_one_before_nothing_else_is_accepted() -> None:
    assert read("").valid == ["new"] and not read("").accept("Bearer ")


def test_who_does_not_know_the_new_one_is_sent_the_old() -> None:
    sent: list[str] = []

    def call(headers: dict[str, str]) -> Any:
        sent.append(headers["Authorization"])
        return SimpleNamespace(status_code=200 if "old" in sent[-1] else 401)

    assert read(f"old {time.time() + 60:.0f}").send(call).status_code == 200
    assert sent == ["Bearer new", "Bearer old"]
    assert read("old 1").send(call).status_code == 401


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(SettingError, match="PLATFORM_TOKEN_BEFORE"):
        read("old soon")
