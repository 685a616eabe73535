"""How a month goes by in minutes: what was asked a moment ago is made older.

Nobody may change the log but its owner and the superuser, so this is done as the superuser, whose password is in .env.
The monitor then reads the past as it does after a start: by its own function, from the log.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg

from tests.e2e.platform import Platform
from tests.services import wait_until
from training_endpoint.data import classifiers
from training_endpoint.monitor import hours

Connection = psycopg.Connection[tuple[object, ...]]

DAY = """CREATE TABLE prediction_log.answers_{0:%Y%m%d} PARTITION OF prediction_log.answers
FOR VALUES FROM ('{0:%Y-%m-%d} 00:00+00') TO ('{1:%Y-%m-%d} 00:00+00');
ALTER TABLE prediction_log.answers_{0:%Y%m%d} OWNER TO training_predictions"""


def address(platform: Platform, role: str, password: str) -> str:
    """Of the training database for a role, with the setting that has its password."""
    secret = platform.setting(password)
    return f"postgresql://{role}:{secret}@127.0.0.1:{platform.ports['DATABASE_PORT']}/training"


@contextmanager
def superuser(platform: Platform) -> Iterator[Connection]:
    with psycopg.connect(address(platform, "postgres", "TRAINING_SUPERUSER_PASSWORD"), autocommit=True) as connection:
        yield connection


def make_older(platform: Platform, ages: dict[str, timedelta]) -> None:
    """The answers of each request, by its id, become so much older."""
    with superuser(platform) as connection:
        asked = "SELECT count(DISTINCT request_id) FROM prediction_log.answers WHERE request_id = ANY (%s)"
        wait_until(
            "what was asked is in the log",
            lambda: connection.execute(asked, [list(ages)]).fetchone() == (len(ages),),
            30,
        )
        for day in sorted({(datetime.now(UTC) - age).date() for age in ages.values()}):
            row = connection.execute("SELECT to_regclass(%s)", [f"prediction_log.answers_{day:%Y%m%d}"]).fetchone()
            if row == (None,):
                connection.execute(DAY.format(day, day + timedelta(days=1)).encode())
        with connection.transaction():
            for request, age in ages.items():
                connection.execute(
                    "UPDATE prediction_log.answers SET at = at - %s WHERE request_id = %s", [age, request]
                )
            # What the monitor has counted of them under their present hour.
            connection.execute("DELETE FROM prediction_log.hours")
    url = address(platform, "platform", "TRAINING_DATABASE_PASSWORD")
    for classifier in classifiers.live(url):
        hours.update(url, classifier, datetime.now(UTC) - timedelta(days=hours.MOST_DAYS))
