"""Two fleets of two replicas behind nginx, one with the log and one without, asked by turns; then an outage."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles

import psutil
import psycopg
import requests

from benchmarks.sentences import sentences
from benchmarks.serving.load import Reading, wrk
from benchmarks.serving.ours import DOOR, NAME, fleet
from tests import services
from tests.database_roles import url_of
from tests.integration.model_endpoint.stack import Serving, serving

CONNECTIONS = 32


def measure(home: Path, rounds: int, seconds: float, outage: float, say: Callable[[str], None]) -> list[str]:
    """Lines of a table."""
    bodies: list[object] = [{"input": text} for text in sentences()]
    data = home / "postgres"
    data.mkdir()
    with services.postgres(data) as server, fleet(home, 1) as made:
        database = services.new_database(server, "training")
        services.apply_schema(database)
        folders = [home / name for name in ("on", "off")]
        for folder in folders:
            folder.mkdir()
        log = {"DATABASE_URL": url_of(database, "serving")}
        with (
            serving(made.url, NAME, folders[0], 2, **log) as with_log,
            serving(made.url, NAME, folders[1], 2, PREDICTION_LOG="off") as without,
        ):
            doors = []
            for one in (with_log, without):
                one.start()
                one.switch(made.versions[0])
                doors.append(one.door(**DOOR))

            def ask(door: str, seconds: float) -> Reading:
                return wrk(f"{door}/predict", bodies, CONNECTIONS, seconds, home)

            for door in doors:
                ask(door, 3)
            shares, failed = [], 0
            costs: dict[str, list[float]] = {door: [] for door in doors}
            for number in range(rounds):
                order = doors if number % 2 else doors[::-1]
                found = {}
                for door in order:
                    before = cpu(with_log if door == doors[0] else without, data)
                    found[door] = ask(door, seconds)
                    used = cpu(with_log if door == doors[0] else without, data) - before
                    costs[door].append(used / found[door].requests * 1000)
                on, off = found[doors[0]], found[doors[1]]
                shares.append(on.rate / off.rate)
                failed += on.failed + off.failed
                say(f"{on.rate:.0f} requests/s with the log, {off.rate:.0f} without")
            pairs = f"{rounds} pairs of {seconds:g} s"
            ratios = [on / off for on, off in zip(*(costs[door] for door in doors), strict=True)]
            cost = [median(costs[door]) for door in doors]
            lines = [
                f"| requests/s with the log, of those without, {CONNECTIONS} connections | ≥ 0.97 |"
                f" {_spread(shares)} ({pairs}, {failed} requests failed) |",
                "| processor time of replicas and database a request, of that without | ≤ 1.03 |"
                f" {_spread(ratios)} ({cost[0]:.2f} and {cost[1]:.2f} ms) |",
            ]
            if outage:
                lines += _outage(with_log, database, data, lambda: ask(doors[0], outage + 20), outage, say)
            return lines


def _spread(values: list[float]) -> str:
    low, middle, high = quantiles(values, n=4)
    return f"{middle:.3f}, the middle half {low:.2f} to {high:.2f}"


def cpu(replicas: Serving, data: Path) -> float:
    """Seconds that the replicas and the database have used: this does not depend on who else uses the machine."""
    postmaster = int((data / "postmaster.pid").read_text().split()[0])
    total = 0.0
    for pid in (postmaster, *(one.process.pid for one in replicas.replicas)):
        family = psutil.Process(pid)
        for one in (family, *family.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system
        ended = family.cpu_times()
        total += ended.children_user + ended.children_system
    return total


def _outage(
    replicas: Serving,
    database: str,
    data: Path,
    load: Callable[[], Reading],
    seconds: float,
    say: Callable[[str], None],
) -> list[str]:
    """The database is killed under load, and comes back after `seconds`."""

    def dropped() -> float:
        pages = [requests.get(f"{one.url}/metrics", timeout=5).text for one in replicas.replicas]
        lines = [
            line for page in pages for line in page.splitlines() if line.startswith("model_log_dropped_rows_total")
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def rows() -> int:
        with psycopg.connect(database) as connection:
            row = connection.execute("SELECT count(*) FROM prediction_log.answers").fetchone()
        return int(row[0]) if row else 0

    services.wait_until("the log has caught up", lambda: rows() == rows() > 0)
    time.sleep(2)
    before, lost_before = rows(), dropped()
    with ThreadPoolExecutor(1) as pool:
        under_load = pool.submit(load)
        time.sleep(5)
        services.kill_postgres(data)
        time.sleep(seconds)
        services.start_postgres(data)
        reading = under_load.result()
    lost = dropped() - lost_before

    def whole() -> bool:
        return rows() - before + lost >= reading.requests

    services.wait_until("the log goes on", whole, 60)
    time.sleep(1)
    written = rows() - before
    say(f"{reading.requests} requests, {reading.failed} failed, {written} rows written, {lost:.0f} dropped")
    return [
        f"| failed requests, the database away for {seconds:.0f} s | 0 | {reading.failed} of {reading.requests:,} |",
        f"| rows of them in the log, and dropped and counted | all | {written:,} + {lost:,.0f} |",
    ]
