"""python -m training_trigger: runs the relay until SIGTERM or SIGINT."""

import logging
import os
import signal
import sys
import threading

from mlops_contract.env import SettingError
from training_trigger import prediction_days, relay, web
from training_trigger.airflow import Airflow
from training_trigger.settings import Settings
from training_trigger.status import Status


def main() -> None:
    """Ends with one line when a setting is missing or wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    try:
        settings = Settings.from_env(os.environ)
    except SettingError as error:
        sys.exit(str(error))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    status = Status()
    server = web.server(settings, status)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    threading.Thread(target=prediction_days.keep, args=(settings, stop), name="days", daemon=True).start()
    relay.run(settings, Airflow(settings), status, stop)
    server.shutdown()


if __name__ == "__main__":
    main()
