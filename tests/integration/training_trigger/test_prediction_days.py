"""The relay makes the days of the log of predictions and drops the old ones, whatever Airflow does."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.monitoring import size
from tests import relay_service, services
from tests.database_roles import connected, url_of
from tests.integration.database.test_serving_role import days, old_day


def test_a_relay_without_airflow_keeps_the_days(database: str, tmp_path: Path) -> None:
    with connected(database) as owner:
        for day in ("20260101", "20260102"):
            old_day(owner, day)
        newest = days(owner)[-1]
        owner.execute(f"DROP TABLE {newest}")
        nowhere = f"http://127.0.0.1:{services.free_port()}"
        variables = relay_service.environment(url_of(database, "platform"), nowhere, "u", "p")
        with relay_service.relay_process(variables, tmp_path / "log"):
            services.wait_until("the days are as they should be", lambda: len(days(owner)) == 9)
            assert newest in days(owner)


def test_days_are_the_same_whatever_the_database_thinks_of_dates(database: str) -> None:
    bounds = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relispartition AND relname ~ '^answers_[0-9]+$'"
    with connected(database) as owner:
        before = owner.execute(f"{bounds} ORDER BY 1").fetchall()
        for name in days(owner):
            owner.execute(f"DROP TABLE {name}")
        with connected(database, "platform") as platform:
            platform.execute("SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Kolkata'")
            platform.execute("SELECT prediction_log.keep(30)")
        assert owner.execute(f"{bounds} ORDER BY 1").fetchall() == before


def test_a_day_is_dropped_beside_writers_that_never_pause(database: str) -> None:
    with connected(database) as owner:
        for day in ("20260101", "20260102", "20260103"):
            old_day(owner, day)
    stop = threading.Event()
    writers = [size.Writer(url_of(database, "serving")) for _ in range(2)]
    with ThreadPoolExecutor(len(writers)) as pool, connected(database, "platform") as platform:
        writing = [pool.submit(one.run, stop) for one in writers]
        try:
            dropped: list[object] = []

            def kept() -> bool:
                (name,) = platform.execute("SELECT prediction_log.keep(30)").fetchone() or (None,)
                dropped.extend([name] if name else [])
                return len(dropped) == 3

            services.wait_until("all three are dropped", kept, 30)
        finally:
            stop.set()
        for one in writing:
            one.result()
    with connected(database, "platform") as platform:
        found = platform.execute("SELECT count(*)::int FROM prediction_log.answers").fetchone()
    assert found == (size.BATCH * sum(len(one.took) for one in writers),), "nothing that was written is lost"
    assert max(took for one in writers for _, took in one.took) < 5
