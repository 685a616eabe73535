import pytest

from mlops_contract.env import SettingError
from model_endpoint.settings import Settings


def test_the_token_is_mandatory() -> None:
    with pytest.raises(SettingError, match="PLATFORM_TOKEN"):
        Settings.from_env({})
