"""The default gate over histories of runs, simulated as in `python -m benchmarks.judging --gate`, a few of them."""

import json
from statistics import median
from typing import Any

import pytest

from benchmarks.judging import gate
from benchmarks.judging.gate import History

DEFAULT = "sequential (the default)"
MEASURED = json.loads(gate.MEASURED.read_text())


@pytest.fixture(scope="module", params=[MEASURED["correlation"], 0.7])
def measured(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What was measured, and models that agree less on what is hard."""
    return {**MEASURED, "correlation": request.param}


@pytest.fixture(scope="module")
def unchanged(measured: dict[str, Any]) -> dict[str, list[History]]:
    return gate.repeats(measured, 10)


@pytest.fixture(scope="module")
def growing(measured: dict[str, Any]) -> dict[str, list[History]]:
    return gate.growing(measured, 20, between=0.0)


def test_runs_on_unchanged_rows_promote_nothing_that_is_worse(unchanged: dict[str, list[History]]) -> None:
    assert all(one.promotions <= 0.05 * gate.REPEATS and one.shortfall <= 0.003 for one in unchanged[DEFAULT])
    assert sum(one.promotions > 0 for one in unchanged[DEFAULT]) <= 1
    assert sum(one.promotions for one in unchanged["better"]) > 10  # what the simulation must be able to show


def test_runs_that_add_rows_end_near_the_best(growing: dict[str, list[History]]) -> None:
    assert median(one.behind for one in growing[DEFAULT]) <= 0.003
    assert median(one.behind for one in growing["alpha spending alone"]) > 0.003


def test_the_verdict_says_no_less_than_selection_flatters(
    unchanged: dict[str, list[History]], growing: dict[str, list[History]]
) -> None:
    for histories in (unchanged["better"], growing[DEFAULT], growing["better"]):
        assert sum(one.flattered for one in histories) <= sum(one.said for one in histories)
