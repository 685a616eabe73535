import re
from pathlib import Path

import pytest

from mlops_contract.env import SettingError
from tests import training
from tests.services import ROOT
from training_endpoint.settings import Settings


def test_addresses_are_split_and_links_default_to_the_tracking_server(tmp_path: Path) -> None:
    made = training.settings("x", tmp_path, MODEL_ENDPOINTS=" a:1, b:2,, ")
    assert made.model_endpoints == ("a:1", "b:2") and made.mlflow_public_url == made.mlflow_tracking_uri


@pytest.mark.parametrize("name", ["DATABASE_URL", "MLFLOW_TRACKING_URI", "PLATFORM_TOKEN"])
def test_what_must_be_set_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match=f"{name} is not set"):
        training.settings("x", tmp_path, **{name: ""})


def test_every_variable_is_documented_and_passed_by_compose() -> None:
    source = (ROOT / "training_endpoint/src/training_endpoint/settings.py").read_text()
    names = set(re.findall(r'env\.\w+\("([A-Z_]+)"', source))
    table = (ROOT / "docs/settings/training_endpoint.md").read_text()
    compose = (ROOT / "training_endpoint/compose.yaml").read_text()
    assert {name for name in names if not re.search(rf"^\| [A-Z_, ]*\b{name}\b", table, re.M)} == set()
    fixed = {"STATE_DIR", "HOST", "PORT", "CODE_VERSION"}
    assert {name for name in names - fixed if f"      {name}:" not in compose} == set()


def test_defaults_are_those_of_the_example(tmp_path: Path) -> None:
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.M))
    given = {name: value for name, value in example.items() if value and not name.endswith("_PORT")}
    mandatory = {"DATABASE_URL": "x", "MLFLOW_TRACKING_URI": "http://m", "PLATFORM_TOKEN": "t"}
    assert Settings.from_env({**given, **mandatory}) == Settings.from_env(mandatory)


def test_shares_of_what_is_labelled_are_100_together(tmp_path: Path) -> None:
    assert sum(training.settings("x", tmp_path).label_shares) == 100
    with pytest.raises(SettingError, match="are 40, 41 and 20: together they must be 100"):
        training.settings("x", tmp_path, LABEL_UNCERTAIN="41")
