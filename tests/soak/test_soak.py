"""A working day in short: rows, runs, switches, relaunches, backups and load; then what has grown.

SOAK_MINUTES (40) says for how long. CHAOS_PLATFORM as in tests/chaos; the platform's limits of what is kept are made
small, so that the clean-up has something to do.
"""

import os
import re
import subprocess
import time
from collections import defaultdict
from itertools import count
from pathlib import Path

import pytest

from tests.chaos import drill
from tests.chaos.conftest import platform
from tests.e2e.platform import set_env
from tests.load import Load
from tests.soak.memory import Memory

__all__ = ["platform"]  # the fixture

pytestmark = pytest.mark.timeout(12 * 3600)

KEPT = {"KEEP_VERSIONS": "2", "KEEP_REJECTED_VERSIONS": "1", "KEEP_REJECTED_HOURS": "0"}
VERSION_BYTES, RUN_BYTES = 62e6, 1e6
"""What docs/growth.md says of a version with its files, and of a run whose version has none any more."""
LOG_BYTES = 3 * 10e6
ERROR = re.compile(r"\b(ERROR|CRITICAL|FATAL|PANIC)\b|Traceback|\[(error|crit|alert|emerg)\b")
EXPLAINED = {
    "nginx": {
        r"connect\(\) failed|no live upstreams|upstream timed out": "a replica went, and another one was asked",
        r"upstream prematurely closed|recv\(\) failed": "a replica went, and another one was asked",
    },
    "backend-store": {
        r"duplicate key value .*registered_model_pk": "a job makes sure that the registered model is there"
    },
    "airflow-database": {r"could not serialize|deadlock detected": "Airflow tries again"},
}


class Day:
    """What is done again and again, and how often it was."""

    def __init__(self, platform: drill.Platform) -> None:
        self.platform = platform
        self.done: defaultdict[str, int] = defaultdict(int)

    def launch(self, *words: str, **settings: str) -> None:
        """`sh launch.sh WORDS` with these settings in .env."""
        set_env(self.platform.folder, **settings)
        command = ["sh", "launch.sh", *words]
        said = subprocess.run(
            command, cwd=self.platform.folder, capture_output=True, text=True, check=False, timeout=1200
        )
        assert said.returncode == 0, f"{command}: {said.stdout}{said.stderr}"
        self.done[words[0] if words else "relaunch"] += 1

    def rows(self) -> None:
        self.platform.insert()
        drill.wait_for("the row is trained on", lambda: self.platform.uncovered() == 0)
        self.done["run"] += 1

    def switch(self) -> None:
        served = self.platform.served()
        found = self.platform.sql(
            "SELECT version FROM training_versions WHERE removed_at IS NULL ORDER BY version DESC"
        )
        other = next(int(row[0]) for row in found if int(row[0]) != served)
        self.platform.ask("TRAINING", "/promote", {"version": other, "reason": "a switch of the soak"}, 400)
        assert self.platform.served() == other
        self.done["switch"] += 1

    def backup(self) -> None:
        file = self.platform.folder / f"soak-{self.done['backup']}.backup"
        self.launch("backup", str(file))
        file.unlink()


def test_a_day_leaves_nothing_behind(platform: drill.Platform) -> None:
    until = time.monotonic() + 60 * float(os.environ.get("SOAK_MINUTES") or 40)
    day = Day(platform)
    day.launch(**KEPT)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with Memory(platform) as memory, Load(platform.url("NGINX", "/predict"), 4, pause=0.1) as load:
        for number in count():
            day.rows()
            day.switch()
            day.backup()
            if number % 2:  # another setting of the replicas and of nginx by turns
                day.launch(MODEL_MAX_TEXTS=str(500 + number), NGINX_BURST=str(5000 + number))
            day.launch("clean")
            if time.monotonic() > until:
                break
        drill.wait_for("what the ledger names is served", platform.settled)
    failed = [one for one in load.seen if not one[2]]
    print(f"\n{dict(day.done)}, {len(load.seen)} requests, {len(failed)} failed\n{memory.table()}", flush=True)
    assert not failed, load.why.most_common(3)
    grown = memory.grown()
    assert not grown, "memory grows: " + "; ".join(grown)
    disk(platform)
    unexplained = errors(platform, since)
    assert not unexplained, "\n".join(unexplained)


def disk(platform: drill.Platform) -> None:
    """It is what docs/growth.md predicts."""
    told = platform.ask("TRAINING", "/storage", seconds=60)
    assert told["next"]["removals"] == [], "the clean-up has left something"
    places = {place["place"]: place["used"] for place in told["places"]}
    kept = int(platform.sql("SELECT count(*) FROM training_versions WHERE removed_at IS NULL")[0][0])
    runs = int(platform.sql("SELECT count(*) FROM training_jobs")[0][0])
    most = kept * VERSION_BYTES + runs * RUN_BYTES
    print(f"{kept} versions with files, {runs} runs: {places}", flush=True)
    # The served one and the one before it beside the newest few.
    assert kept <= sum(int(KEPT[name]) for name in ("KEEP_VERSIONS", "KEEP_REJECTED_VERSIONS")) + 2
    assert places["artifacts"] <= most, f"{places['artifacts'] / 1e6:.0f} MB of artifacts, {most / 1e6:.0f} predicted"
    for service, one, _ in platform.look():
        log = drill.docker("inspect", "--format", "{{.LogPath}}", one)
        size = sum(file.stat().st_size for file in Path(log).parent.glob(Path(log).name + "*"))
        assert size <= LOG_BYTES * 1.01, f"the log of {service} has {size / 1e6:.0f} MB"


def errors(platform: drill.Platform, since: str) -> list[str]:
    """Lines of the services' logs that call themselves an error, and that nothing explains."""
    found = []
    for service, one, _ in platform.look():
        said = subprocess.run(
            ["docker", "logs", "--since", since, one], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
        ).stdout.decode(errors="replace")
        for line in filter(ERROR.search, said.splitlines()):
            if not any(re.search(known, line) for known in EXPLAINED.get(service, {})):
                found.append(f"{service}: {line[:300]}")
    return found
