"""What tests of the training endpoint share: release desks, a classifier over tables of its own, a browser."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests import training
from tests.database_roles import connected, url_of
from tests.releases import Make, release


@pytest.fixture
def make(database: str, tmp_path: Path) -> Iterator[Make]:
    """`make()` gives a release desk; settings as keywords."""
    with ExitStack() as stack:
        yield lambda **variables: stack.enter_context(release(database, tmp_path, **variables))


@pytest.fixture
def films(database: str) -> str:
    """The services' address of a database with the classifier films, over tables that they may write."""
    training.dataset(database, [], [])
    with connected(database) as owner:
        owner.execute("ALTER TABLE film_train OWNER TO platform; ALTER TABLE film_test OWNER TO platform")
        owner.execute("DELETE FROM training_event_queue")
    return url_of(database, "platform")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's Chromium."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()
