"""The human override and the rollback: `python -m training_endpoint.release.promote --to VERSION --reason "…"`.

As a program it calls POST /promote of the running service (TRAINING_URL, PLATFORM_TOKEN); `override` is that route.
"""

import argparse
import getpass
import os
import sys
from typing import Any

import requests

from training_endpoint.release import ledger, peers
from training_endpoint.settings import Settings


def override(settings: Settings, version: int, reason: str, who: str) -> dict[str, Any]:
    """Records the decision, moves the alias to `version`, switches the model endpoints and returns their report.

    Raises `UnknownVersion`, `MlflowUnavailable`, `DatabaseUnavailable` (nothing moved) or `SwitchFailed` (moved and
    recorded, but not confirmed by the model endpoints).
    """
    from training_endpoint.release import registry  # noqa: PLC0415 - seconds and 100 MB, for a promotion alone

    peers.check_mlflow(settings)
    with ledger.alone(settings.database_url):
        previous = registry.move_alias(
            settings, version, who=who, verdict="override", reason=reason, evidence={}, job_id=None
        )
    registry.tag(settings, version, {"override": f"{who}: {reason}"})
    report = peers.switch_fleet(settings, version)
    return {**report, "model_name": settings.model_name, "version": version, "previous_version": previous}


def main(arguments: list[str], environment: dict[str, str]) -> int:
    """Asks the service; prints what each replica serves now. 0 when all is done, else 1."""
    parser = argparse.ArgumentParser(prog="python -m training_endpoint.release.promote", description=override.__doc__)
    parser.add_argument(
        "--to", type=int, required=True, metavar="VERSION", help="registered version to be the Champion"
    )
    parser.add_argument("--reason", required=True, help="why; it stays in the ledger")
    parser.add_argument("--who", default=getpass.getuser(), help="who decides (default: your login name)")
    given = parser.parse_args(arguments)
    url = environment.get("TRAINING_URL", "http://127.0.0.1:9999").rstrip("/")
    try:
        answer = peers.call(
            "POST",
            f"{url}/promote",
            json={"version": given.to, "reason": given.reason, "who": given.who},
            headers={"Authorization": f"Bearer {environment.get('PLATFORM_TOKEN', '')}"},
            timeout=(5, 600),
        )
        body = answer.json()
    except requests.RequestException as error:
        print(
            f"No usable answer from {url} ({type(error).__name__}): is the training endpoint running?", file=sys.stderr
        )
        return 1
    if not answer.ok:
        print(body["error"]["message"], file=sys.stderr)
        return 1
    print(f"{body['model_name']}: version {body['previous_version']} -> {body['version']}, recorded in the ledger")
    for replica in body["replicas"]:
        print(f"  {replica['replica']} at {replica['address']} serves version {replica['version']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], dict(os.environ)))
