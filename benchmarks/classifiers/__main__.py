"""Twenty classifiers on two replicas against one: requests a second, switches beside requests, memory, idle cost.

python -m benchmarks.classifiers [--count 20] [--rounds 5] [--seconds 5] [--switches 20]
"""

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.classifiers.platform import Platform
    from benchmarks.serving.load import Reading

IDLE_S = 30


class Bench:
    """A platform with classifiers, and load for some of them."""

    def __init__(self, platform: "Platform", home: Path, names: list[str]) -> None:
        from benchmarks.sentences import sentences  # noqa: PLC0415 - after --help

        self.platform, self.home, self.names = platform, home, names
        self._bodies: list[object] = [{"input": text} for text in sentences()]

    def load(self, names: list[str], connections: int, seconds: float) -> "Reading":
        from benchmarks.serving.load import wrk  # noqa: PLC0415

        paths = [f"/classifiers/{name}/predict" for name in names]
        return wrk(self.platform.door, self._bodies, connections, seconds, self.home, paths)

    def grow(self) -> tuple[float, float]:
        """Memory in MB of a replica with the first classifier, and with all."""
        self.platform.add(self.names[0])
        self.load(self.names[:1], 32, 3)
        one = self.platform.memory()
        for name in self.names[1:]:
            self.platform.add(name)
            say(f"{name} is served")
        self.load(self.names, 32, 10)
        return one, self.platform.memory()

    def spread(self, seconds: float) -> "tuple[Reading, Reading]":
        """As much load for one of them as for all."""
        one, every = (self.load(names, 32, seconds) for names in (self.names[:1], self.names))
        say(f"{one.rate:.0f} requests/s of one, {every.rate:.0f} of all")
        return one, every

    def switched(self, count: int) -> tuple[float, float, int]:
        """p99 of the first one in seconds, without and while the second is switched, and how often it was."""
        versions = [self.platform.version(self.names[1]) for _ in range(count)]
        still = self.load(self.names[:1], 4, 3 * count)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(lambda: [self.platform.switch(self.names[1], one) for one in versions])
            loud = self.load(self.names[:1], 4, 3 * count)
            say(f"p99 {still.p99 * 1000:.1f} ms, {loud.p99 * 1000:.1f} ms while another is switched")
            return still.p99, loud.p99, sum(done.result())


def say(what: str) -> None:
    """While it goes on."""
    print(what, file=sys.stderr, flush=True)


def main() -> None:
    """Reads the options, runs, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="classifiers")
    parser.add_argument("--rounds", type=int, default=5, help="readings of each, by turns")
    parser.add_argument("--seconds", type=float, default=5, help="of each reading")
    parser.add_argument("--switches", type=int, default=20)
    options = parser.parse_args()
    from benchmarks.classifiers import platform  # noqa: PLC0415 - after --help

    names = [f"classifier_{number}" for number in range(options.count)]
    with tempfile.TemporaryDirectory() as home, platform.platform(Path(home)) as made:
        bench = Bench(made, Path(home), names)
        memory_one, memory_all = bench.grow()
        readings = [bench.spread(options.seconds) for _ in range(options.rounds)]
        tails = [bench.switched(-(-options.switches // options.rounds)) for _ in range(options.rounds)]
        idle = made.busy(IDLE_S)
        say("idle: " + ", ".join(f"{name} {share:.2%}" for name, share in idle.items()))
    further = (memory_all - memory_one) / max(1, len(names) - 1)
    reached = [
        (f"{len(names)} classifiers, evenly, against one: requests a second", "≥ 0.9",
         f"{median(every.rate / one.rate for one, every in readings):.2f}"),
        (f"p99 of one while another is switched ({sum(done for _, _, done in tails)} times), against without", "≤ 1.2",
         f"{median(loud / still for still, loud, _ in tails):.2f}"),
        ("memory of each further one, MB", "≤ 40", f"{further:.1f}"),
        (f"idle cost of {len(names)}: relay, desk, replicas; share of a core", "≤ 2 %", f"{sum(idle.values()):.1%}"),
        ("failed requests", "0", str(sum(one.failed + every.failed for one, every in readings))),
    ]  # fmt: skip
    print(
        "\n".join(
            ["| what | wanted | reached |", "| --- | --- | --- |", *(f"| {' | '.join(one)} |" for one in reached)]
        )
    )


if __name__ == "__main__":
    main()
