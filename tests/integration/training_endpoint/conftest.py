"""A release desk for each test that wants one."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.releases import Make, release


@pytest.fixture
def make(database: str, tmp_path: Path) -> Iterator[Make]:
    """`make()` gives a release desk; settings as keywords."""
    with ExitStack() as stack:
        yield lambda **variables: stack.enter_context(release(database, tmp_path, **variables))
