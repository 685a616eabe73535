"""The supervisor in a tree of its own, whose path is long and has a space and a percent sign."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.services import ROOT, free_port, wait_until

DRIVER = """
import dataclasses, json, os, sys
from native.layout import HOME
from native.processes import Process
from native.supervision import Supervisor, holder, owner, stop_strays
HOME.mkdir(exist_ok=True)
os.chdir(HOME)
def sleeper(name, seconds="1000"):
    script = f"import time; print('began', flush=True); time.sleep({seconds})"
    process = Process(name, [sys.executable, "-c", script], bool)
    process.folder.mkdir(parents=True, exist_ok=True)
    return process
supervisor = Supervisor()
"""


class Tree:
    """A copy of native/ and what it reads, that a driver script runs in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / ("long name %s " * 8).strip()
        for package in ("native", "launch"):
            shutil.copytree(ROOT / package, self.folder / package, ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, script: str) -> Any:
        """Runs `script` after DRIVER; what it printed, as JSON."""
        command = [sys.executable, "-c", DRIVER + script]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None

    def states(self) -> dict[str, Any]:
        return dict(self.run("print(json.dumps(supervisor.states()))"))


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path)
    yield made
    made.run("supervisor.runs() and supervisor.shutdown(); stop_strays()")


def alive(pid: int) -> bool:
    return bool(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


def test_a_killed_process_comes_back(tree: Tree) -> None:
    tree.run("supervisor.configure([sleeper('one')]); supervisor.start('one')")
    log = tree.folder / ".platform/log/one.log"
    wait_until("the process runs", lambda: log.exists() and "began" in log.read_text(), 20)
    assert log.parent.stat().st_mode & 0o077 == 0, "others may read what services say"
    first = tree.states()["one"]["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until("another one runs", lambda: tree.states()["one"]["pid"] not in (0, first), 20)


def test_only_what_changed_is_started_again(tree: Tree) -> None:
    start = "[supervisor.start(name) for name in supervisor.states()]"
    tree.run(f"supervisor.configure([sleeper('one'), sleeper('two'), sleeper('old')]); {start}")
    before = tree.states()
    tree.run(f"supervisor.configure([sleeper('one'), sleeper('two', '2000'), sleeper('new')]); {start}")
    after = tree.states()
    assert set(after) == {"one", "two", "new"}
    assert after["one"]["pid"] == before["one"]["pid"]
    assert after["two"]["pid"] not in (0, before["two"]["pid"])
    assert not alive(before["old"]["pid"])


def test_one_by_one_nothing_is_stopped_until_it_is_its_turn(tree: Tree) -> None:
    careful = "dataclasses.replace(sleeper('one', '{}'), one_by_one=True)"
    tree.run(f"supervisor.configure([{careful.format(1000)}]); supervisor.start('one')")
    before = tree.states()["one"]["pid"]
    changed = f"supervisor.configure([{careful.format(2000)}])"
    assert tree.run(f"print(json.dumps({changed}))") == ["one"]
    assert tree.run(f"print(json.dumps({changed}))") == ["one"], "a launch that was interrupted left it as it was"
    assert tree.states()["one"]["pid"] == before
    tree.run(f"{changed}; supervisor.start_again('one')")
    assert tree.states()["one"]["pid"] not in (0, before)
    assert tree.run(f"print(json.dumps({changed}))") == []


def test_one_that_can_reads_its_files_again_instead_of_being_started_again(tree: Tree) -> None:
    script = (
        "import signal, time; signal.signal(1, lambda *_: print('again', flush=True)); print('began', flush=True); "
    )
    command = f"[sys.executable, '-c', {script + 'time.sleep(99)'!r}]"
    one = f"Process('one', {command}, bool, files=dict(conf='TEXT'), reload_signal='HUP')"
    start = "supervisor.start('one')"
    make = "DATA = HOME / 'data/one'; DATA.mkdir(parents=True, exist_ok=True)"
    tree.run(f"{make}; supervisor.configure([{one.replace('TEXT', 'old')}]); {start}")
    log = tree.folder / ".platform/log/one.log"
    wait_until("the process runs", lambda: log.exists() and "began" in log.read_text(), 20)
    before = tree.states()["one"]["pid"]
    tree.run(f"{make}; supervisor.configure([{one.replace('TEXT', 'new')}])")
    wait_until("it was told", lambda: "again" in log.read_text(), 20)
    assert tree.states()["one"]["pid"] == before


def test_a_process_that_ends_at_once_is_started_for_ever_and_one_that_hangs_is_killed(tree: Tree) -> None:
    lame = "Process('lame', [sys.executable, '-c', 'raise SystemExit(1)'], bool)"
    hung = "Process('hung', [sys.executable, '-c', 'import time; time.sleep(99)'], lambda: not Path(FROZEN).exists())"
    frozen = tree.folder / "frozen"
    setting = (
        f"from pathlib import Path; from native.watch import Watch; FROZEN = {str(frozen)!r}; both = [{lame}, {hung}]"
    )
    make = "[one.folder.mkdir(parents=True, exist_ok=True) for one in both]"
    tree.run(f"{setting}; {make}; supervisor.configure(both); supervisor.start('lame'); supervisor.start('hung')")
    wait_until("it is given up", lambda: tree.states()["lame"]["statename"] == "FATAL", 60)
    wait_until("the other runs", lambda: tree.states()["hung"]["statename"] == "RUNNING", 30)
    before = tree.states()["hung"]["pid"]
    steps = "watch.step(); Path(FROZEN).touch(); [watch.step() for _ in range(4)]; print(0)"
    tree.run(f"{setting}; watch = Watch(both, supervisor); {steps}")
    assert tree.states()["lame"]["statename"] != "FATAL"
    wait_until("another one runs", lambda: tree.states()["hung"]["pid"] not in (0, before), 20)


def test_what_a_killed_supervisor_leaves_is_stopped(tree: Tree) -> None:
    tree.run("supervisor.configure([sleeper('one')]); supervisor.start('one')")
    orphan = tree.states()["one"]["pid"]
    os.kill(int((tree.folder / ".platform/supervisord.pid").read_text()), signal.SIGKILL)
    assert alive(orphan)
    tree.run("stop_strays()")
    assert not alive(orphan)


def test_a_taken_port_is_told_with_its_owner(tree: Tree) -> None:
    port = free_port()
    listen = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"
    asked = f"found = holder({port}); print(json.dumps(found and [found.pid, owner(found)]))"
    assert tree.run(asked) is None
    for home in ("", str(tree.folder / ".platform")):
        with subprocess.Popen([sys.executable, "-c", listen], env={**os.environ, "PLATFORM_HOME": home}) as other:
            try:
                deadline = time.monotonic() + 20
                while (told := tree.run(asked)) is None and time.monotonic() < deadline:
                    time.sleep(0.1)
                assert told == [other.pid, home]
            finally:
                other.kill()
