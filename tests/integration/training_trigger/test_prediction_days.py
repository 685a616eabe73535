"""The relay makes the days of the log of predictions and drops the old ones, whatever Airflow does."""

from pathlib import Path

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
