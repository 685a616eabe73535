"""What tests of the training endpoint share: release desks, a classifier over tables of its own, a browser."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests import training
from tests.browser import chromium
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
    with chromium() as opened:
        yield opened
