"""Starts the training endpoint: one gunicorn worker, and in it the runner of jobs and all that watches and cleans."""

import logging
import math
import os
import sys
from functools import partial
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # it has no types

from mlops_contract.env import SettingError, bypass_proxies
from training_endpoint.console import traffic
from training_endpoint.console.traffic import Traffic
from training_endpoint.http.api import create_app
from training_endpoint.http.worker import Worker
from training_endpoint.jobs.queue import Jobs
from training_endpoint.jobs.runner import Runner
from training_endpoint.labelling import pick, settle
from training_endpoint.monitor import feedback, watch
from training_endpoint.monitor.watch import Watch
from training_endpoint.release.desk import Desk
from training_endpoint.release.followers import Followers
from training_endpoint.repeated import Repeated
from training_endpoint.settings import Settings
from training_endpoint.shadow import decisions, rounds
from training_endpoint.shadow.rounds import Rounds
from training_endpoint.upkeep.janitor import Janitor

REQUESTS_END_S = 5
THREADS_END_S = 20


class Server(BaseApplication):  # type: ignore[misc]  # untyped base
    """gunicorn, configured here alone; all of it lives and ends with its one worker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.runner = Runner(settings)
        self.reconciler = Followers(settings)
        self.desk = Desk(settings, self.reconciler)
        self.janitor = Janitor(settings)
        self.watch = Watch(settings, self._train)
        self.traffic = Traffic(settings)
        self.repeated = (
            Repeated("feedback", partial(feedback.apply, settings), feedback.LOOK_S),
            Repeated("monitor", self.watch.look, watch.LOOK_S),
            Repeated("labels", partial(settle.apply, settings), settle.LOOK_S),
            Repeated("what to label", partial(pick.refill, settings), pick.LOOK_S),
            Repeated("traffic", self.traffic.look, traffic.LOOK_S, first=0),
            Repeated("shadows", partial(decisions.decide, self.desk), decisions.LOOK_S),
            Repeated("shadows' answers", Rounds(settings).look, rounds.LOOK_S),
        )
        super().__init__()

    def load_config(self) -> None:
        options: dict[str, Any] = {
            "bind": f"{self.settings.host}:{self.settings.port}",
            "workers": 1,
            "worker_class": Worker,
            "threads": 16,
            "keepalive": 0,  # a request a connection
            # An import or a switch of the fleet may take minutes in one request.
            "timeout": 0,
            # The running job gets its time to end before gunicorn kills all; the requests in work get less (`_start`).
            "graceful_timeout": math.ceil(REQUESTS_END_S + self.settings.cancel_grace_s + THREADS_END_S),
            "control_socket_disable": True,
            "post_worker_init": self._start,
            "worker_exit": lambda server, worker: self._stop(),
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return create_app(self.settings, self.desk, self.janitor, self.watch, self.traffic, self.runner.wake)

    def _start(self, worker: Any) -> None:
        worker.cfg.set("graceful_timeout", REQUESTS_END_S)
        self.runner.start()
        self.reconciler.start()
        self.janitor.start()
        self.traffic.load()
        for one in self.repeated:
            one.start()

    def _train(self, run_id: str, classifier: str) -> None:
        Jobs(self.settings.database_url).submit(run_id, {}, self.settings.max_queued_jobs, classifier)

    def _stop(self) -> None:
        for one in self.repeated:
            one.stop()
        self.janitor.stop()
        self.runner.stop()
        self.reconciler.stop()


def main() -> None:
    """Reads the settings and serves until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = Settings.from_env(os.environ)
    except SettingError as error:
        sys.exit(f"training endpoint: {error}")
    # The hub and Slack may be behind a proxy; MLflow is a neighbour. Jobs inherit it.
    bypass_proxies(os.environ, settings.mlflow_tracking_uri)
    try:
        (settings.state_dir / "tmp").mkdir(parents=True, exist_ok=True)  # TMPDIR in containers
    except OSError as error:
        sys.exit(f"training endpoint: the folder STATE_DIR cannot be made: {error}")
    Server(settings).run()


if __name__ == "__main__":
    main()
