"""Switch_Latest_Model: waits until every model endpoint serves what the ledger names."""

import logging
import time
from typing import Any
from urllib.parse import quote

from airflow.sdk.exceptions import AirflowFailException

from ml_platform import training
from ml_platform.answers import Refused, Unavailable
from ml_platform.settings import Settings

log = logging.getLogger(__name__)

LOOK_S = 5
"""How long the training endpoint may wait with its answer for the switch to be done."""


def switch_latest_model(job: dict[str, Any], settings: Settings) -> dict[str, Any] | None:
    """Waits for the switch that `job` decided and logs what each replica did; returns the release's state.

    Where nothing was promoted it still makes sure that all replicas serve the Champion. None where no Champion exists,
    or the classifier was retired while its run went on.
    The replicas are switched by the platform itself: a failure here says that they are not, and changes nothing.
    """
    champion = job.get("champion_version")
    if champion is None:
        log.info("There is no Champion yet and nothing to serve: %s", job.get("verdict_text"))
        return None
    if champion == job.get("model_version"):
        log.info("Version %s is the new Champion: waiting for every replica to serve it.", champion)
    else:
        log.info(
            "Version %s was not promoted: making sure that every replica serves %s.", job["model_version"], champion
        )
    try:
        state = served(settings, job.get("classifier"))
    except Unavailable as reason:
        log.warning("The replicas keep what they serve: %s", reason)
        raise
    except Refused as refusal:
        if refusal.code == "unknown_classifier":
            log.info("Nothing is to be served: %s", refusal)
            return None
        raise AirflowFailException(f"The training endpoint refuses to tell: {refusal}") from refusal
    switch = state.get("switch") or {"replicas": [], "seconds": 0.0}
    for replica in switch["replicas"]:
        log.info(describe_replica(replica))
    log.info(
        "%d replicas serve version %s, after %.1f s.", len(switch["replicas"]), state["champion"], switch["seconds"]
    )
    return state


def served(settings: Settings, classifier: str | None) -> dict[str, Any]:
    """The release's state once every replica serves what the ledger names; fails the run after the deadline."""
    deadline = time.monotonic() + settings.switch_timeout_s
    whose = f"&classifier={quote(classifier, safe='')}" if classifier else ""
    while True:
        state = training.call(settings, "GET", f"/release?wait={LOOK_S}{whose}")
        if state["served"]:
            return state
        if time.monotonic() > deadline:
            raise AirflowFailException(
                f"Version {state['champion']} is not served everywhere: {state['trouble'] or 'no replica answers'} "
                "The platform goes on trying; GET /release on the training endpoint tells when it is."
            )


def describe_replica(replica: dict[str, Any]) -> str:
    """What one replica serves now and served before."""
    name = f"Replica {replica['replica']} at {replica['address']}"
    if replica["version"] == replica["previous_version"]:
        return f"{name} serves version {replica['version']} already."
    return f"{name}: version {replica['previous_version'] or 'none'} -> {replica['version']}."
