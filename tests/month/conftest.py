"""A platform of its own, of containers where an engine answers, and the browser."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import page
from tests.e2e.platform import Platform, engine_answers

__all__ = ["page"]  # the fixture


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """In a folder, not launched yet; it is taken down whatever happens."""
    built = Platform(
        tmp_path_factory.mktemp("month") / "a platform", "docker" if engine_answers() else "native", prefix="month_"
    )
    built.copy_tree()
    try:
        yield built
    finally:
        built.launch("down", "--volumes", "--yes")
