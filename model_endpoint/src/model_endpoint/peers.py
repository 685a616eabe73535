"""What the other replicas say of what they serve."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from mlops_contract.tokens import Tokens

ANSWER_SECONDS = 1.0
FRESH_SECONDS = 0.25


def ask(addresses: list[str], path: str, token: Tokens) -> list[Any]:
    """What each that answers says to GET `path`."""

    def one(address: str) -> Any:
        try:
            with requests.Session() as session:
                session.trust_env = False  # a proxy of the machine has no business between replicas
                url = f"http://{address}{path}"
                answer = token.send(lambda headers: session.get(url, headers=headers, timeout=ANSWER_SECONDS))
                return answer.json() if answer.ok else None
        except requests.RequestException:
            return None

    with ThreadPoolExecutor(max(1, len(addresses))) as pool:
        return [found for found in pool.map(one, addresses) if isinstance(found, dict)]


class Peers:
    """Asked once for all models, whichever of them wants to know."""

    def __init__(self, addresses: Callable[[], list[str]], token: Tokens) -> None:
        self._addresses = addresses
        self._token = token
        self._lock = threading.Lock()
        self._asked = 0.0
        self._told: list[dict[str, Any]] = []

    def told(self, path: str) -> tuple[float, list[dict[str, Any]]]:
        """Since when it is true, by time.monotonic(), and what each says of the model at a path, '' for the root's."""
        with self._lock:
            if time.monotonic() - self._asked > FRESH_SECONDS:
                self._asked = time.monotonic()
                self._told = ask(self._addresses(), "/models/all", self._token)
            return self._asked, [one[path] for one in self._told if isinstance(one.get(path), dict)]
