"""Switch_Latest_Model: has every model endpoint serve the Champion."""

import logging
from typing import Any

import httpx
from airflow.sdk.exceptions import AirflowFailException

from ml_platform.answers import Refused, Unavailable, read, unreachable
from ml_platform.settings import Settings

log = logging.getLogger(__name__)


def change_model(settings: Settings) -> dict[str, Any]:
    """Asks the first endpoint that answers to switch the whole fleet to the Champion; raises Unavailable or Refused."""
    reasons = []
    for endpoint in settings.model_endpoints:
        url = f"http://{endpoint}/change_model"
        headers = {"Authorization": f"Bearer {settings.token}"}
        try:
            return read(httpx.post(url, json={}, headers=headers, timeout=settings.switch_timeout_s, trust_env=False))
        except httpx.HTTPError as error:
            reasons.append(str(unreachable(url, error)))
            log.warning("Trying the next model endpoint: %s", reasons[-1])
    raise Unavailable("; ".join(reasons))


def switch_latest_model(job: dict[str, Any], settings: Settings) -> dict[str, Any] | None:
    """Switches the fleet after `job` and logs what each replica did; returns the fleet's answer.

    Where nothing was promoted it still makes sure that all replicas serve the Champion. None where no Champion exists.
    """
    champion = job.get("champion_version")
    if champion is None:
        log.info("There is no Champion yet and nothing to serve: %s", job.get("verdict_text"))
        return None
    if champion == job.get("model_version"):
        log.info("Version %s is the new Champion: switching every replica to it.", champion)
    else:
        log.info(
            "Version %s was not promoted: making sure that every replica serves %s.", job["model_version"], champion
        )
    try:
        fleet = change_model(settings)
    except Unavailable as reason:
        log.warning("The switch did not happen, the replicas keep what they serve: %s", reason)
        raise
    except Refused as refusal:
        raise AirflowFailException(f"The model endpoints refuse the switch: {refusal}") from refusal
    for replica in fleet["replicas"]:
        log.info(describe_replica(replica))
    log.info("%d replicas serve version %s, after %.1f s.", len(fleet["replicas"]), fleet["version"], fleet["seconds"])
    return fleet


def describe_replica(replica: dict[str, Any]) -> str:
    """What one replica serves now and served before."""
    name = f"Replica {replica['replica']} at {replica['address']}"
    if replica["version"] == replica["previous_version"]:
        return f"{name} serves version {replica['version']} already."
    return f"{name}: version {replica['previous_version'] or 'none'} -> {replica['version']}."
