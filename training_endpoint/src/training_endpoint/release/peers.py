"""Calls to other services: is MLflow there, close a run, tell people in Slack."""

import logging
import threading
import time
from typing import Any

import requests

from training_endpoint.errors import MlflowUnavailable
from training_endpoint.settings import Settings

HEALTH_TIMEOUT_S = 3
SLACK_TIMEOUT_S = 5

log = logging.getLogger(__name__)

_own = threading.local()


def call_once(method: str, url: str, **arguments: Any) -> requests.Response:
    """One request to a neighbour: no proxy, no netrc."""
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the machine has no business between services
        return session.request(method, url, **arguments)


def call(method: str, url: str, **arguments: Any) -> requests.Response:
    """As `call_once`, of what may be asked twice, over a connection that this thread keeps.

    A connection that the neighbour has closed meanwhile looks like one that it closes now, so it is asked once more.
    """
    if not hasattr(_own, "session"):
        _own.session = requests.Session()
        _own.session.trust_env = False
    session: requests.Session = _own.session
    try:
        return session.request(method, url, **arguments)
    except requests.Timeout:
        raise
    except requests.ConnectionError:
        return session.request(method, url, **arguments)


def check_mlflow(settings: Settings) -> None:
    """Raises `MlflowUnavailable` unless the tracking server answers within seconds."""
    try:
        call("GET", f"{settings.mlflow_tracking_uri}/health", timeout=HEALTH_TIMEOUT_S).raise_for_status()
    except requests.RequestException as error:
        raise MlflowUnavailable(
            f"MLflow does not answer at MLFLOW_TRACKING_URI ({type(error).__name__}): start it, then try again."
        ) from error


def end_run(settings: Settings, mlflow_run: str, status: str) -> None:
    """Closes the MLflow run of a process that was killed and could not. Never raises: the run is only a record."""
    try:
        call(
            "POST",
            f"{settings.mlflow_tracking_uri}/api/2.0/mlflow/runs/update",
            json={"run_id": mlflow_run, "status": status, "end_time": int(time.time() * 1000)},
            timeout=HEALTH_TIMEOUT_S,
        ).raise_for_status()
    except requests.RequestException as error:
        log.warning("MLflow's run %s stays open: %s", mlflow_run, type(error).__name__)


def say_in_slack(settings: Settings, text: str) -> bool:
    """Posts `text` to SLACK_URL when that is set; whether it got there. Never raises: nothing fails for a message."""
    if not settings.slack_url:
        return False
    try:
        requests.post(settings.slack_url, json={"text": text}, timeout=SLACK_TIMEOUT_S).raise_for_status()
    except requests.RequestException as error:
        # The URL is a secret and stands in the exception's text.
        log.warning("a message to Slack was not delivered: %s", type(error).__name__)
        return False
    return True
