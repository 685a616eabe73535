"""MLflow's registry over its REST API: the alias and what it names, without the weight of MLflow's client."""

from typing import Any

import requests

from training_endpoint.errors import MlflowUnavailable, UnknownVersion
from training_endpoint.release import peers
from training_endpoint.settings import Settings

TIMEOUT_S = 5
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def named(settings: Settings) -> int | None:
    """The version that the alias names, None where it names none."""
    asked = {"name": settings.model_name, "alias": settings.model_alias}
    try:
        return int(call(settings, "GET", "registered-models/alias", asked)["model_version"]["version"])
    except UnknownVersion:
        return None


def move(settings: Settings, number: int) -> None:
    """Has the alias name version `number`; raises `UnknownVersion` where MLflow has no such version any more."""
    body = {"name": settings.model_name, "alias": settings.model_alias, "version": str(number)}
    call(settings, "POST", "registered-models/alias", body)


def version(settings: Settings, number: int) -> dict[str, Any]:
    """What MLflow says of a version, its run_id and tags above all; raises `UnknownVersion`."""
    found = call(settings, "GET", "model-versions/get", {"name": settings.model_name, "version": str(number)})
    return dict(found["model_version"])


def call(settings: Settings, method: str, path: str, values: dict[str, str]) -> dict[str, Any]:
    """One call of MLflow's registry; raises `UnknownVersion` for what it does not have, else `MlflowUnavailable`."""
    url = f"{settings.mlflow_tracking_uri}/api/2.0/mlflow/{path}"
    given: dict[str, Any] = {"params": values} if method == "GET" else {"json": values}
    try:
        answer = peers.call(method, url, auth=settings.mlflow_account, timeout=TIMEOUT_S, **given)
        body = answer.json()
    except requests.RequestException as error:
        raise MlflowUnavailable(f"MLflow does not answer at MLFLOW_TRACKING_URI ({type(error).__name__}).") from error
    if answer.ok and isinstance(body, dict):
        return body
    told = body if isinstance(body, dict) else {}
    if told.get("error_code") in ABSENT:
        raise UnknownVersion(f"MLflow says: {str(told.get('message', ''))[:200]}")
    raise MlflowUnavailable(f"MLflow answered {answer.status_code} to {path}; its log says why.")
