"""How `up` and `status` see that a process does its work. Each check answers within seconds and never raises."""

import json
import ssl
import subprocess
import urllib.request
from collections.abc import Callable
from typing import Any

Check = Callable[[], bool]

# Our own processes, asked by address: a certificate of the public door is for its name.
_any_certificate = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())  # noqa: S323
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), _any_certificate)


def _get(url: str) -> Any:
    with _direct.open(url, timeout=4) as answer:
        return answer.read()


def answers(url: str) -> Check:
    """Healthy when GET `url` gives a 2xx."""

    def check() -> bool:
        try:
            _get(url)
        except OSError:
            return False
        return True

    return check


def reports(url: str, part: str) -> Check:
    """Healthy when Airflow's health document at `url` calls `part` healthy."""

    def check() -> bool:
        try:
            return bool(json.loads(_get(url))[part]["status"] == "healthy")
        except (OSError, ValueError, KeyError):
            return False

    return check


def succeeds(command: list[str]) -> Check:
    """Healthy when `command` ends with status 0."""
    return lambda: subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
