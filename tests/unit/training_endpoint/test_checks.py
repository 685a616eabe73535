from dataclasses import replace
from pathlib import Path

import numpy as np

from training_endpoint.data.snapshot import Rows, Snapshot
from training_endpoint.judge.checks import ChampionAnswers, Check, checks, unfound
from training_endpoint.judge.evaluate import Probabilities
from training_endpoint.judge.exported import Served
from training_endpoint.settings import Settings

SETTINGS = Settings.from_env(
    {"DATABASE_URL": "postgresql://x", "MLFLOW_TRACKING_URI": "http://x", "PLATFORM_TOKEN": "t", "MAX_OVERLAP": "0.1"}
)
SERVED = Served(Path(), "int8", 0.01, 0.15, 5.0, {}, "served as int8")
SNAPSHOT = Snapshot(
    name="d",
    train_table="d_train",
    test_table="d_test",
    text_column="text",
    label_column="label",
    label_names=["a", "b"],
    train=Rows([], []),
    test=Rows([f"t{n}" for n in range(40)], [n % 2 for n in range(40)]),
    digest="",
    watermark="",
)


def one_hot(classes: list[int]) -> Probabilities:
    return np.eye(2)[classes]


RIGHT = one_hot(SNAPSHOT.test.labels.tolist())


def failed(
    snapshot: Snapshot = SNAPSHOT,
    challenger: Probabilities = RIGHT,
    champion: ChampionAnswers | None = None,
    served: Served = SERVED,
) -> list[str]:
    return [check.name for check in found(snapshot, challenger, champion, served) if check.blocks]


def found(
    snapshot: Snapshot = SNAPSHOT,
    challenger: Probabilities = RIGHT,
    champion: ChampionAnswers | None = None,
    served: Served = SERVED,
) -> list[Check]:
    return [check for check in checks(snapshot, challenger, champion, served, SETTINGS) if not check.passed]


def test_a_good_model_passes_all() -> None:
    assert failed() == []
    assert failed(champion=ChampionAnswers(3, RIGHT, ["a", "b"])) == []


def test_each_fault_fails_its_check() -> None:
    assert failed(snapshot=replace(SNAPSHOT, overlap=5)) == ["test rows are new to the model"]
    assert failed(snapshot=replace(SNAPSHOT, overlap=4)) == []
    assert failed(challenger=one_hot([0] * 40), champion=ChampionAnswers(3, RIGHT, ["a", "b"])) == ["no class is lost"]
    assert failed(served=replace(SERVED, difference=0.2)) == ["what is served agrees with what was trained"]
    assert failed(served=replace(SERVED, latency_ms=400.0)) == ["answers are quick enough"]


def test_a_class_of_the_champion_that_the_data_no_longer_has_is_lost() -> None:
    champion = ChampionAnswers(3, RIGHT, ["a", "b", "c"])
    (check,) = (check for check in checks(SNAPSHOT, RIGHT, champion, SERVED, SETTINGS) if not check.passed)
    assert check.name == "no class is lost" and "c" in check.detail


def test_a_champion_that_cannot_be_loaded_is_not_replaced_unseen() -> None:
    assert failed(champion=ChampionAnswers(3, None, trouble="gone")) == ["the Champion can be compared"]


def test_what_the_champion_knows_may_not_be_lost() -> None:
    labels = np.array([0] * 40 + [1] * 40)
    never = one_hot([0] * 80)
    for known, is_lost in ((0, False), (1, False), (5, False), (6, True), (40, True)):
        champion = one_hot([0] * 40 + [1] * known + [0] * (40 - known))
        assert unfound(never, champion, labels, ["a", "b"]) == ((["b"], []) if is_lost else ([], ["b"]))


def test_a_class_of_few_rows_is_lost_only_if_the_champion_finds_it() -> None:
    labels = np.array([0] * 20 + [1] * 2)
    never = one_hot([0] * 22)
    assert unfound(never, None, labels, ["a", "b"]) == ([], [])
    assert unfound(never, never, labels, ["a", "b"]) == ([], [])
    assert unfound(never, one_hot([0] * 21 + [1]), labels, ["a", "b"]) == ([], [])
    assert unfound(never, one_hot(list(labels)), labels, ["a", "b"]) == (["b"], [])


def test_a_class_that_is_never_found_is_a_warning_to_the_first_champion_and_those_after_it() -> None:
    never = one_hot([0] * 40)
    for champion in (None, ChampionAnswers(3, never, ["a", "b"])):
        (check,) = found(challenger=never, champion=champion)
        assert check.name == "every class is found" and check.detail == "never found: b" and not check.blocks


def test_of_many_classes_a_few_are_named() -> None:
    names = [f"intent_{n}" for n in range(77)]
    many = replace(SNAPSHOT, label_names=names, test=Rows([f"t{n}" for n in range(770)], [n // 10 for n in range(770)]))
    (check,) = found(many, np.eye(77)[[0] * 770])
    assert check.detail == "never found: intent_1, intent_2, intent_3, intent_4, intent_5 and 71 more"


def test_nobody_is_judged_on_test_rows_that_were_just_replaced() -> None:
    for share, allowed in ((0.0, True), (0.5, True), (0.6, False), (1.0, False)):
        made = checks(SNAPSHOT, RIGHT, None, SERVED, SETTINGS, share)
        (check,) = [one for one in made if one.name.startswith("test rows are those")]
        assert check.passed is allowed and check.blocks
