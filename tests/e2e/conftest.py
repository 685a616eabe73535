"""One platform for all end-to-end tests of a mode; it is taken down whatever happens."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

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


CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
CHROMIUM_FLAGS += ["--disable-component-update", "--disable-sync"]


@pytest.fixture
def page(platform: Platform) -> Iterator[Page]:
    """A page in the machine's Chromium."""
    path = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        # For MLflow, which asks as HTTP does.
        account = {"username": platform.setting("MLFLOW_USER"), "password": platform.setting("MLFLOW_PASSWORD")}
        tab = browser.new_page(http_credentials=account)  # type: ignore[arg-type]
        tab.set_default_timeout(60_000)
        yield tab
        browser.close()
