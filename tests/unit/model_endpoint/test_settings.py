from pathlib import Path

import pytest

from mlops_contract.env import SettingError
from model_endpoint.settings import Settings, available_cores


def test_the_token_is_mandatory() -> None:
    with pytest.raises(SettingError, match="PLATFORM_TOKEN"):
        Settings.from_env({})


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", None), ("50000 100000", 1), ("100000 100000", 1)])
def test_the_cores_are_those_of_the_container(tmp_path: Path, quota: str, cores: int | None) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    free = available_cores(tmp_path / "none")
    assert available_cores(tmp_path / "cpu.max") == (cores or free)
