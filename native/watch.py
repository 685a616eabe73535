"""Starts again what the supervisor would leave: processes that hang, and those that it has given up."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from native.processes import Process
from native.supervision import Supervisor

PAUSE_S = 10
# Beside the time that a check waits for an answer; as often as containers are asked.
FAILURES = 4
# It may be at work on its journal after a crash, and another kill would have it begin anew.
LEFT_ALONE = ("postgres", "watch")


class Watch:
    """What is known of each process; `step` looks once."""

    def __init__(self, processes: list[Process], supervisor: Supervisor) -> None:
        self.processes = [one for one in processes if not one.once and one.name not in LEFT_ALONE]
        self.supervisor = supervisor
        self.failures: dict[tuple[str, int], int] = {}
        """By name and pid; only those are in it that have been healthy."""

    def step(self) -> None:
        """Starts what was given up, kills what hangs: then the supervisor starts it again."""
        states = self.supervisor.states()
        for name, entry in states.items():
            if entry["statename"] == "FATAL":
                say(f"{name} had been given up and is started again")
                self.supervisor.start(name)
        running = [one for one in self.processes if states.get(one.name, {}).get("statename") == "RUNNING"]
        with ThreadPoolExecutor(max(1, len(running))) as pool:
            healths = list(pool.map(lambda one: one.health(), running))
        # The others' health is what the API server says of them.
        told = next(
            (well for one, well in zip(running, healths, strict=True) if one.name == "airflow-apiserver"), False
        )
        for process, healthy in zip(running, healths, strict=True):
            if process.name.startswith("airflow-") and process.name != "airflow-apiserver" and not told:
                continue
            key = process.name, states[process.name]["pid"]
            if healthy:
                self.failures[key] = 0
            elif key in self.failures:
                self.failures[key] += 1
                if self.failures[key] >= FAILURES:
                    del self.failures[key]
                    say(f"{process.name} does not answer and is started again")
                    with suppress(ProcessLookupError):
                        os.killpg(key[1], signal.SIGKILL)


def say(words: str) -> None:
    """One line in .platform/log/watch.log."""
    print(time.strftime("%F %T"), words, flush=True)


def watch(processes: list[Process], supervisor: Supervisor) -> None:
    """Looks for ever."""
    one = Watch(processes, supervisor)
    while True:
        with suppress(OSError):  # the supervisor is being stopped
            one.step()
        time.sleep(PAUSE_S)
