"""The days of the log of predictions: made ahead, and dropped when they are old enough. A thread beside the loop."""

import logging
import threading

import psycopg

from training_trigger.events import Events, connect
from training_trigger.settings import Settings

LOOK_SECONDS = 600.0
RETRY_SECONDS = 30.0

log = logging.getLogger(__name__)


def keep(settings: Settings, stop: threading.Event) -> None:
    """Sees to them until `stop` is set; waits out whatever goes wrong, for which there are days made ahead."""
    trouble, pause = "", 0.0
    while not stop.wait(pause):
        try:
            keep_once(settings)
            trouble, pause = "", LOOK_SECONDS
        except psycopg.Error as error:
            said, pause = str(error).strip(), RETRY_SECONDS
            if said != trouble:
                log.warning("the days of the log of predictions: %s", said)
            trouble = said


def keep_once(settings: Settings) -> list[str]:
    """Makes the days ahead; returns which it dropped, the oldest first."""
    dropped, days = list[str](), settings.prediction_log_days
    with connect(settings.database_url) as connection:
        while day := Events(connection).keep_days(days):
            log.info("dropped %s of the log of predictions: older than %d days", day, days)
            dropped.append(day)
    return dropped
