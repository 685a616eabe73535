"""What is tested side by side, and in which order."""

from collections import Counter
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

AIRFLOW = Path(__file__).parent / "airflow"


class Files(LoadScopeScheduling):  # type: ignore[misc] # it has no types
    """A file stays with one worker, and all files that need an Airflow do."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return AIRFLOW.name if AIRFLOW in (self.config.rootpath / file).parents else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Where tests run side by side at all."""
    return Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those with an Airflow first, then files of few tests, which are long ones: nobody waits for one in the end."""
    tests = Counter(item.path for item in items)

    def place(item: pytest.Item) -> tuple[bool, int, Path]:
        airflow = AIRFLOW in item.path.parents
        return not airflow, 0 if airflow else tests[item.path], item.path

    items.sort(key=place)
