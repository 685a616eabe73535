"""What the services say of themselves: level|what|found|what to do, a line each.

launch/doctor.sh pipes this file into the Python of one of them, whichever runs: standard library and mlops_contract.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlops_contract.addresses import resolve, split

TIMEOUT_S = 5
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url: str, token: str = "") -> dict[str, Any]:
    """The JSON that `url` answers with, whatever its status; OSError or ValueError where there is none."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310
    try:
        with DIRECT.open(request, timeout=TIMEOUT_S) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        return dict(json.load(error))


def tell(level: str, what: str, found: str, advice: str = "") -> None:
    """One line."""
    print("|".join(part.replace("|", "/").replace("\n", " ") for part in (level, what, found, advice)))


def hear(what: str, url: str, service: str, token: str = "") -> dict[str, Any] | None:
    """As `ask`; None, and a line of its own, where nothing answers."""
    try:
        return ask(url, token)
    except (OSError, ValueError) as error:
        tell("problem", what, f"does not answer: {error}", f"sh launch.sh logs {service}")
        return None


def relay(url: str) -> None:
    """Whether it delivers."""
    said = hear("relay", f"{url}/health", "training-trigger")
    if said is None:
        return
    if said.get("status") == "ok":
        tell("ok", "relay", f"{said['role']}, {said.get('pending_events', 0)} events pending")
    else:
        level = "warning" if said.get("passes") else "problem"
        tell(level, "relay", str(said.get("reason")), "sh launch.sh logs training-trigger")


def training(url: str, token: str) -> int | None:
    """The version that the ledger names, as the training endpoint says it, and whether all follow it."""
    said = hear("training endpoint", f"{url}/release", "training-endpoint", token)
    if said is None:
        return None
    if "error" in said:
        tell("problem", "training endpoint", said["error"]["message"], "sh launch.sh logs training-endpoint")
        return None
    champion = said["champion"]
    if said["trouble"]:
        tell("problem", "release", said["trouble"], "it is tried again by itself; sh launch.sh logs training-endpoint")
    elif champion is None:
        tell("warning", "release", "there is no Champion yet", "sh launch.sh trains the first one")
    elif not said["alias"]:
        advice = "sh launch.sh logs tracking-server"
        tell("warning", "release", f"MLflow's alias does not name version {champion} yet", advice)
    else:
        tell("ok", "release", f"version {champion}, and MLflow's alias names it")
    return None if champion is None else int(champion)


def replicas(endpoints: str, token: str, champion: int | None) -> None:
    """What each replica serves, compared with the ledger."""
    wanted, advice = int(os.environ.get("MODEL_REPLICAS") or 2), "sh launch.sh logs model-endpoint"

    def one(address: str) -> tuple[str, dict[str, Any], str]:
        try:
            return address, ask(f"http://{address}/models", token), ""
        except (OSError, ValueError) as error:
            return address, {}, str(error)

    addresses = resolve(split(endpoints))
    with ThreadPoolExecutor(max(1, len(addresses))) as pool:
        found = list(pool.map(one, addresses))
    for address, said, error in found:
        version, log = said.get("version"), said.get("log", {})
        if log.get("trouble") or log.get("dropped"):
            what = f"{address} has left out {log['dropped']} rows of the log since it started. {log['trouble']}"
            tell("warning", "log of predictions", what.strip(), advice)
        if error:
            tell("problem", "replica", f"{address} does not answer: {error}", advice)
        elif champion is not None and version != champion:
            tell("problem", "replica", f"{address} serves version {version}, the ledger names {champion}", advice)
    serving = [said.get("version") for _, said, error in found if not error]
    level = "ok" if len(serving) >= wanted else "warning" if serving else "problem"
    versions = ", ".join(sorted({f"version {version}" for version in serving if version}))
    answers = f"{len(serving)} of {wanted} answer{f', {versions}' if versions else ''}"
    tell(level, "replicas", answers, "sh launch.sh starts what is missing")


def airflow(url: str) -> None:
    """Its four parts."""
    said = hear("Airflow", f"{url}/api/v2/monitor/health", "airflow-apiserver")
    if said is None:
        return
    bad = [
        name for name, part in said.items() if isinstance(part, dict) and part.get("status") not in ("healthy", None)
    ]
    if bad:
        tell("problem", "Airflow", f"{', '.join(bad)}: not healthy", f"sh launch.sh logs airflow-{bad[0]}")
    else:
        tell("ok", "Airflow", "its parts are healthy")


def mlflow(url: str) -> None:
    """Whether it answers."""
    try:
        with DIRECT.open(f"{url}/health", timeout=TIMEOUT_S):
            tell("ok", "MLflow", "answers")
    except OSError as error:
        tell("problem", "MLflow", f"does not answer: {error}", "sh launch.sh logs tracking-server")


if __name__ == "__main__":
    where = os.environ
    relay(where["RELAY_URL"])
    mlflow(where["MLFLOW_TRACKING_URI"])
    replicas(
        where["MODEL_ENDPOINTS"], where["PLATFORM_TOKEN"], training(where["TRAINING_URL"], where["PLATFORM_TOKEN"])
    )
    airflow(where["AIRFLOW_URL"])
