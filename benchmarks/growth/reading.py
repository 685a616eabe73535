"""Reading a table: seconds, and memory beyond the texts. `python -m benchmarks.growth.reading URL FOLDER`, alone."""

import json
import re
import sys
import threading
import time
from pathlib import Path

from training_endpoint.data import lineage, snapshot

# As a job has them: it has imported what it needs before it reads.
from training_endpoint.jobs import pipeline  # noqa: F401

PAUSE_S = 0.01


def resident() -> int:
    """Bytes that this process has in memory, mapped files included."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


class Peak:
    """The most that was resident while it lasts."""

    def __enter__(self) -> "Peak":
        self.most = self.before = resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(PAUSE_S):
            self.most = max(self.most, resident())


def main(url: str, folder: Path) -> None:
    """Reads, keeps and writes the lineage of the default classifier's rows, as a job does."""
    with Peak() as peak:
        start = time.perf_counter()
        taken = snapshot.read(url, 100_000, folder=folder)
        read = time.perf_counter() - start
        lineage.keep(taken, folder / "snapshot.json")
        del taken
        taken = lineage.kept(folder / "snapshot.json")
        lineage.write(taken, 100_000, folder / lineage.FOLDER)
        seconds = time.perf_counter() - start
    texts = sum((folder / "snapshot" / split / "texts").stat().st_size for split in lineage.SPLITS)
    rows = len(taken.train) + len(taken.test)
    beyond = peak.most - peak.before - texts
    print(json.dumps({"rows": rows, "read_s": read, "all_s": seconds, "beyond": beyond, "bytes_a_row": beyond / rows}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
