"""A platform of containers for the drills: a fresh one, or the one whose folder CHAOS_PLATFORM names."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import drill
from tests.e2e import platform as fresh


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[drill.Platform]:
    """It has two versions, so that there is something to switch to."""
    if not fresh.engine_answers():
        pytest.skip("no Docker Engine answers, and processes cannot be cut off from each other")
    if os.geteuid() != 0:
        pytest.skip("only root can kill a container's first process as a crash would")
    given = os.environ.get("CHAOS_PLATFORM")
    if given:
        yield prepared(drill.Platform(Path(given)))
        return
    built = fresh.Platform(tmp_path_factory.mktemp("chaos") / "a platform", "docker", prefix="chaos_")
    built.copy_tree()
    try:
        built.launch()
        yield prepared(drill.Platform(built.folder))
    finally:
        built.run("sh", "launch.sh", "down", "--volumes", "--yes")


def prepared(made: drill.Platform) -> drill.Platform:
    drill.wait_for("all is well before the first fault", lambda: made.healthy() and made.settled())
    if len(made.sql("SELECT version FROM training_versions")) < 2:
        made.insert()
        drill.wait_for(
            "a second version is registered", lambda: len(made.sql("SELECT version FROM training_versions")) > 1
        )
    drill.wait_for("all rows are trained on", lambda: made.uncovered() == 0)
    return made
