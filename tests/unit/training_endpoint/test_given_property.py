"""What people may write outside of the rows: names of files, labels, overrides, models. Used, or told in words."""

import json
import string
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_model_alias_name, _validate_model_name

from mlops_contract.env import Env, SettingError
from mlops_contract.errors import PlatformError
from tests import tiny_models
from tests.data_cases.case import PAIRS, csv
from training_endpoint.data import sources
from training_endpoint.data.labels import label_names
from training_endpoint.data.sources.problems import Problems
from training_endpoint.errors import BaseModelNotFound, InvalidOverride
from training_endpoint.learn.classifier import find_base, load
from training_endpoint.learn.hyperparameters import OVERRIDES, RANGES, START_FROM, Hyperparameters

FEW = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
STEMS = st.lists(
    st.sampled_from(["train", "Test", "dev", "val", "testimonials", "my", "2024", "Übung", "eval_", "final"]),
    min_size=1,
    max_size=3,
).map("-".join)


@FEW
@given(stems=st.lists(STEMS, min_size=1, max_size=5, unique_by=str.lower), folder=st.sampled_from(["", "train/", "x/"]))
def test_each_file_is_read_or_named(stems: list[str], folder: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("d")
    for stem in stems:
        file = home / f"{folder}{stem}.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text(csv(pairs=[(f"{text} [{stem}]", label) for text, label in PAIRS]))
    try:
        train, tests = sources.find(str(home)).open("")
    except PlatformError as error:
        assert "holds test files only" in error.message
        return
    rows = Counter(str(row[0]).partition(" [")[2][:-1] for part in (train, *tests) for row in part.rows(Problems()))
    told = " ".join(train.notes)
    for stem in stems:
        assert rows[stem] == len(PAIRS) or f"{stem}.csv" in told, (stems, told)


@FEW
@given(found=st.lists(JSON, max_size=5) | JSON)
def test_labels_by_sql_are_texts_all_different_or_told(found: Any) -> None:
    try:
        names = label_names(found)
    except PlatformError as error:
        assert 400 <= error.status < 500 and "\n" not in error.message
        return
    assert len(set(names)) == len(names) and all(name and name == name.strip() for name in names)
    assert {one.strip() for one in found if isinstance(one, str)} - {""} <= set(names)
    assert label_names([*found, *found, None]) == names


@FEW
@given(overrides=st.dictionaries(st.sampled_from(sorted(OVERRIDES)) | st.text(max_size=8), JSON, max_size=4))
def test_overrides_are_in_their_ranges_or_told_by_name(overrides: dict[str, Any]) -> None:
    try:
        taken = Hyperparameters.from_request(overrides, Hyperparameters())
    except InvalidOverride as error:
        assert 400 <= error.status < 500 and any(repr(name)[1:-1][:50] in error.message for name in overrides)
        return
    for name, (kind, low, high) in RANGES.items():
        value: Any = getattr(taken, name)
        assert (name == "max_rows" and value is None) or (low <= value <= high and type(value) is kind)
    assert taken.start_from in START_FROM and taken.base_model.strip()


@FEW
@given(name=st.text(max_size=12) | st.text(st.sampled_from("ab/:.$é vV12latest"), max_size=8))
def test_names_of_models_and_aliases_are_those_that_mlflow_takes(name: str) -> None:
    for read, validate in ((Env.model_name, _validate_model_name), (Env.model_alias, _validate_model_alias_name)):
        try:
            taken = read(Env({"X": name}), "X", "default")
        except SettingError as error:
            assert "X is" in str(error)
            continue
        try:
            validate(taken)
        except MlflowException as error:
            pytest.fail(f"{taken!r} is taken, and MLflow says {error}")


PLACES = st.text(st.sampled_from(string.printable + "é\0\ud800"), max_size=20)


@FEW
@given(start=st.sampled_from(["/", "./", "../", "~", "~/", "file:///", "a/b/c/"]), rest=PLACES)
def test_no_name_of_a_base_model_is_more_than_a_sentence(start: str, rest: str) -> None:
    try:
        base = find_base(start + rest)
    except PlatformError as error:
        assert 400 <= error.status < 500 and error.message
    else:
        assert (base.folder / "config.json").is_file()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save("bert", tmp_path_factory.mktemp("base"))


@settings(FEW, max_examples=15)
@given(
    key=st.sampled_from(["hidden_size", "vocab_size", "model_type", "num_attention_heads", "id2label", "problem_type"]),
    value=st.sampled_from([None, -1, 0, "wide", [], {}, 10**12, 0.5, {"0": "one"}]),
)
def test_whatever_a_configuration_says_it_is_loaded_or_refused(folder: Path, key: str, value: Any) -> None:
    file = folder / "config.json"
    whole = file.read_text()
    file.write_text(json.dumps({**json.loads(whole), key: value}))
    try:
        classifier = load(find_base(str(folder)), ["x", "y"], 32)
        assert classifier.model.config.num_labels == 2
    except BaseModelNotFound as error:
        assert str(folder) in error.message and "\n" not in error.message
    finally:
        file.write_text(whole)
