"""`git pull; sh launch.sh`, from the release of which people have platforms: what was there stays, and is answered for.

With containers; CHAOS_PLATFORM and the like do not count here, since an old platform is launched first.
"""

import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.chaos import drill
from tests.e2e.platform import Platform, engine_answers
from tests.load import Load
from tests.services import ROOT

OLD = "05d335c"
CONNECTIONS, REPLICAS = 8, 2

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Platform]:
    """A platform of that release, with a Champion and a row that waits for its run."""
    if not engine_answers():
        pytest.skip("no Docker Engine answers")
    if subprocess.run(["git", "cat-file", "-e", OLD], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip(f"this clone does not go back to {OLD}")
    made = Platform(tmp_path / "a platform", "docker", prefix="upgrade_")
    subprocess.run(["git", "clone", "--quiet", ROOT, made.folder], check=True)
    subprocess.run(["git", "checkout", "--quiet", OLD], cwd=made.folder, check=True)
    try:
        made.launch(timeout=1800)
        yield made
    finally:
        made.run("sh", "launch.sh", "down", "--volumes", "--yes")


def pull(platform: Platform) -> None:
    """The working tree of this release in place of the old one."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=platform.folder, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        (platform.folder / name).unlink()
    shutil.rmtree(platform.folder / ".git")
    platform.copy_tree()


def test_champion_rows_ledger_and_events_are_kept(old: Platform) -> None:
    before = drill.Platform(old.folder)
    decided = "SELECT id, to_version, verdict, reason, evidence FROM promotion_ledger WHERE id = 1"
    count = "SELECT count(*) FROM sample_train"

    def asked(question: str) -> str:
        psql = ["exec", "upgrade_db-training-database-1", "psql", "-X", "-At", "-U", "postgres", "-d", "training", "-c"]
        return drill.docker(*psql, question)

    served, ledger = before.served(), asked(decided)
    asked("INSERT INTO sample_train (text, label) VALUES ('A row that waits, and a fine film.', 'positive')")
    rows = asked(count)
    pull(old)
    with Load(old.url("NGINX_PORT", "/predict"), CONNECTIONS) as load:
        old.launch(timeout=1800)
    after = drill.Platform(old.folder)
    answers = [end for _, end, version in sorted(load.seen, key=lambda one: one[1]) if version]
    gap = max(later - sooner for sooner, later in pairwise(answers))
    print(f"{len(load.seen)} requests, {load.why}; {gap:.1f} s without an answer")
    # nginx is another container now; while that starts, connections are refused. Of answers, those alone were errors
    # that replicas of the earlier release were about to give: they do not say that they go.
    errors = sum(count for why, count in load.why.items() if why.startswith("HTTP Error"))
    assert errors <= REPLICAS * CONNECTIONS, load.why
    assert gap < 5
    assert {version for *_, version in load.seen} <= {0, served}
    assert asked(decided) == ledger and asked(count) == rows
    assert asked("SELECT count(*) FROM ledger_breaks") == "0"
    drill.wait_for("the row is trained on", lambda: after.uncovered() == 0, 1200)
    assert asked("SELECT count(DISTINCT run) FROM training_data_coverage") == "1"
    drill.wait_for("what the ledger names is served", after.settled)
