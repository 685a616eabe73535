"""Calls to the platform's other services: is MLflow there, close a run, and switch the model endpoints."""

import logging
import socket
import time
from typing import Any

import requests

from training_endpoint.errors import MlflowUnavailable, SwitchFailed
from training_endpoint.settings import Settings

HEALTH_TIMEOUT_S = 3
SWITCH_TIMEOUT_S = 300

log = logging.getLogger(__name__)


def call(method: str, url: str, **arguments: Any) -> requests.Response:
    """One request to a neighbour: no proxy, no netrc."""
    with requests.Session() as session:
        session.trust_env = False
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


def switch_fleet(settings: Settings, version: int) -> dict[str, Any]:
    """Asks the first model endpoint that answers to bring `version` to all of them, and returns its report.

    {"version", "replicas": [{"replica", "address", "version", "previous_version"}], "seconds"}; without
    MODEL_ENDPOINTS there is nothing to switch. Raises `SwitchFailed` when none confirms.
    """
    if not settings.model_endpoints:
        return {"version": version, "replicas": []}
    failures = []
    for address in _addresses(settings.model_endpoints):
        try:
            answer = call(
                "POST",
                f"http://{address}/change_model",
                json={"version": version},
                headers={"Authorization": f"Bearer {settings.platform_token}"},
                timeout=(HEALTH_TIMEOUT_S, SWITCH_TIMEOUT_S),
            )
            if answer.ok:
                report: dict[str, Any] = answer.json()
                return report
            failures.append(f"{address}: {_said(answer)}")
        except requests.RequestException as error:
            failures.append(f"{address}: {type(error).__name__}")
    raise SwitchFailed(
        f"{settings.model_alias} is version {version} now, but no model endpoint confirmed the switch "
        f"({'; '.join(failures) or 'no address behind MODEL_ENDPOINTS'}): repeat this when they run."
    )


def _addresses(endpoints: tuple[str, ...]) -> list[str]:
    """Every address, as host:port, behind every name in `endpoints`; names that do not resolve have none."""
    found: dict[str, None] = {}
    for endpoint in endpoints:
        host, _, port = endpoint.rpartition(":")
        try:
            answers = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        except (OSError, ValueError):
            continue
        for family, *_, address in answers:
            name = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
            found[f"{name}:{port}"] = None
    return list(found)


def _said(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"
