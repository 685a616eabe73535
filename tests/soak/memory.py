"""The memory of each service over time, and whether it grows."""

import re
import statistics
import subprocess
import threading
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.chaos import drill

EVERY_S = 10
WARM_UP = 0.3
"""The part of the time in which caches fill, which is not looked at."""
NOISE_BYTES, NOISE = 24e6, 0.1
"""What the second half may hold above the first."""
_CONTAINER = re.compile(r"[0-9a-f]{64}")


def by_container() -> dict[str, int]:
    """Bytes that belong to processes alone and to no file, by the id of their container."""
    found: defaultdict[str, int] = defaultdict(int)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            container = _CONTAINER.search((process / "cgroup").read_text())
            held = re.search(r"RssAnon:\s+(\d+) kB", (process / "status").read_text())
            if container and held:
                found[container[0]] += int(held[1]) * 1024
    return dict(found)


class Memory:
    """A thread that looks every few seconds; of several replicas it keeps their mean."""

    def __init__(self, platform: drill.Platform) -> None:
        self.platform = platform
        self.seen: defaultdict[str, list[int]] = defaultdict(list)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            with suppress(OSError, ValueError, subprocess.SubprocessError):
                held = by_container()
                by_service: defaultdict[str, list[int]] = defaultdict(list)
                for service, one, _ in self.platform.look():
                    if held.get(one):
                        by_service[service].append(held[one])
                for service, sizes in by_service.items():
                    self.seen[service].append(round(statistics.mean(sizes)))

    def _halves(self, service: str) -> tuple[float, float]:
        """The least that it held in the first half after the warm-up, and in the second.

        The least, since what a job or a request takes for a while is no growth.
        """
        sizes = self.seen[service][int(len(self.seen[service]) * WARM_UP) :]
        half = len(sizes) // 2
        return min(sizes[:half]), min(sizes[half:])

    def grown(self) -> list[str]:
        """A sentence for each service that held more at the end than noise explains."""
        said = []
        for service in self.seen:
            before, after = self._halves(service)
            if after > before * (1 + NOISE) + NOISE_BYTES:
                said.append(f"{service} held {before / 1e6:.0f} MB, then {after / 1e6:.0f} MB")
        return said

    def table(self) -> str:
        """MB of each service: the least of the first half after the warm-up, and of the second; the most of all."""
        lines = ["| service | first half | second half | most |", "| --- | --- | --- | --- |"]
        for service in sorted(self.seen):
            before, after = self._halves(service)
            figures = " | ".join(f"{size / 1e6:.0f}" for size in (before, after, max(self.seen[service])))
            lines.append(f"| {service} | {figures} |")
        return "\n".join(lines)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
