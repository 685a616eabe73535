"""One platform for all end-to-end tests of a mode; it is taken down whatever happens."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser import chromium
from tests.e2e.platform import Platform, engine_answers


@pytest.fixture(scope="session", params=["docker", "native"])
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The product in a folder with a space in its name, not launched yet."""
    mode = request.param
    if mode == "docker" and not engine_answers():
        pytest.skip("no Docker Engine answers: the platform is tested with plain processes instead")
    if mode == "native" and engine_answers() and os.environ.get("CI") != "true":
        pytest.skip("a Docker Engine answers: plain processes are tested too with CI=true")
    built = Platform(tmp_path_factory.mktemp(mode) / "a platform", mode)
    built.copy_tree()
    yield built
    built.run("sh", "launch.sh", *(["--native"] if mode == "native" else []), "down", "--volumes", "--yes")


@pytest.fixture
def page(platform: Platform) -> Iterator[Page]:
    """A page in the machine's Chromium."""
    with chromium() as browser:
        # For MLflow, which asks as HTTP does.
        account = {"username": platform.setting("MLFLOW_USER"), "password": platform.setting("MLFLOW_PASSWORD")}
        tab = browser.new_page(http_credentials=account)  # type: ignore[arg-type]
        tab.set_default_timeout(60_000)
        yield tab
