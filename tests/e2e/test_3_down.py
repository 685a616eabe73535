"""Taking the platform down and bringing it back; comes last, since the other tests need it up."""

import json

import pytest

from tests.e2e.platform import Platform

pytestmark = pytest.mark.timeout(900)

FILM = "What a wonderful film"


def test_down_keeps_everything(platform: Platform) -> None:
    before, _ = platform.predict(FILM)
    platform.launch("down")
    said = platform.launch()
    assert "Training the first Champion" not in said
    after, _ = platform.predict(FILM)
    assert json.dumps(after, sort_keys=True) == json.dumps(before, sort_keys=True)


def test_down_with_volumes_leaves_nothing(platform: Platform) -> None:
    platform.launch("down", "--volumes", "--yes")
    if platform.mode == "docker":
        assert platform.leftovers() == []
    else:
        assert not (platform.folder / ".platform/data").exists()
