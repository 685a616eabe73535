"""What is in memory: each model once, and no more than fit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from model_endpoint.models import Kept, Models
from model_runner import Encoded, Logits
from tests.unit.model_endpoint import stub


@pytest.fixture
def loads() -> list[str]:
    """What was loaded, in order."""
    return []


@pytest.fixture
def get(loads: list[str]) -> Callable[[str], Kept]:
    """Models of 10 bytes where 25 are allowed."""
    models = Models(25)

    def load(key: str) -> stub.Stub:
        loads.append(key)
        return stub.Stub()

    return lambda key: models.get(key, lambda: load(key), 10)


def test_two_classifiers_with_one_version_load_it_once(get: Callable[[str], Kept], loads: list[str]) -> None:
    assert get("a") is get("a") is not None
    first = get("b")
    assert get("b") is first and loads.count("b") == 1


def test_the_one_used_least_recently_leaves_and_comes_back_when_it_is_asked(
    get: Callable[[str], Kept], loads: list[str]
) -> None:
    first, second = get("1"), get("2")
    first.encode(["good"])
    third = get("3")
    assert [one.in_memory for one in (first, second, third)] == [True, False, True]
    assert second.labels == ["negative", "positive"], "what it is called is known without loading it"
    assert second.logits(second.encode(["good"])).argmax() == 1
    assert loads == ["1", "2", "3", "2"]
    assert [one.in_memory for one in (first, second, third)] == [False, True, True]


def test_what_one_is_computing_with_stays_until_it_is_done(get: Callable[[str], Kept]) -> None:
    first = get("1")
    model = first.awake()
    get("2"), get("3")
    assert not first.in_memory
    assert model.logits(model.encode(["bad"])).argmax() == 0


def test_one_that_is_larger_than_all_that_is_allowed_is_served(loads: list[str]) -> None:
    large = Models(5).get("large", stub.Stub, 10)
    assert large.in_memory and large.encode(["good"])


def test_one_that_cannot_be_loaded_is_not_kept(loads: list[str]) -> None:
    models = Models(25)

    def fail() -> stub.Stub:
        raise RuntimeError("damaged")

    with pytest.raises(RuntimeError):
        models.get("a", fail, 10)
    assert models.get("a", stub.Stub, 10).in_memory


def test_a_list_keeps_its_model_while_others_take_the_room(tmp_path: Path) -> None:
    models, loads = Models(15), list[str]()

    def load(key: str) -> stub.Stub:
        loads.append(key)
        return Pushing() if key == "1" else stub.Stub()

    class Pushing(stub.Stub):
        def logits(self, batch: list[Encoded]) -> Logits:
            models.get("2", lambda: load("2"), 10).encode(["somebody else's"])
            return super().logits(batch)

    ours = stub.server(tmp_path, models.get("1", lambda: load("1"), 10))
    leases: list[Callable[[], None]] = []
    answer = ours.predictor.classify(["good"] * 50, leases)
    assert len(answer.scores) == 50
    assert loads.count("1") == 1, "however often it left memory meanwhile"
