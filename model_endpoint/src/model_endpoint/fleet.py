"""All replicas together: found by name, prepared all, held all, then committed all."""

import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from model_endpoint.errors import SwitchBusy, SwitchFailed
from model_endpoint.settings import Settings

COMMIT_SECONDS = 10
RETRY_SECONDS = 0.2
Told = dict[str, dict[str, Any]]


class Away(Exception):
    """Nothing listens at the address: it answers nobody, and joins the others when it comes up."""


class Fleet:
    """The replicas behind MODEL_ENDPOINTS."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def addresses(self) -> list[str]:
        """Every replica's ip:port, sorted; this process alone where no name can be resolved."""
        found: set[str] = set()
        for endpoint in self.settings.endpoints.split(","):
            host, _, port = endpoint.strip().rpartition(":")
            try:
                entries = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)
            except socket.gaierror:
                continue
            found |= {f"{entry[4][0]!s}:{port}" for entry in entries}
        return sorted(found) or [f"127.0.0.1:{self.settings.port}"]

    def look(self) -> Told:
        """What each reachable replica says of itself, by address."""

        def ask(address: str) -> dict[str, Any]:
            try:
                return self._call(address, "GET", "/models", {}, 2)
            except (Away, SwitchFailed):
                return {}

        return {address: told for address, told in self._each(self.addresses(), ask).items() if told}

    def change(self, number: int) -> dict[str, Any]:
        """Switches every replica to version `number`, or none: SwitchFailed says which one cannot, and why.

        Answers {"version", "replicas": [{"replica", "address", "version", "previous_version"}], "seconds"}.
        Whatever the others' switches do in between, it is tried again until the deadline.
        """
        start = time.monotonic()
        before = {address: told["version"] for address, told in self.look().items()}
        while True:
            try:
                ready = self._change(number)
            except SwitchBusy:
                if time.monotonic() - start > COMMIT_SECONDS:
                    raise
                time.sleep(RETRY_SECONDS)
            else:
                break
        replicas = [
            {
                "replica": told["replica"],
                "address": address,
                "version": number,
                "previous_version": before.get(address),
            }
            for address, told in ready.items()
        ]
        return {"version": number, "replicas": replicas, "seconds": round(time.monotonic() - start, 3)}

    def _change(self, number: int) -> Told:
        """Three moves; what each replica said at the end."""
        body: dict[str, Any] = {"version": number}
        seconds = self.settings.switch_seconds
        ready = self._post(self.addresses(), "/models/prepare", body, seconds)
        if not ready:
            raise SwitchFailed(f"No replica answers at {self.settings.endpoints}.")
        body["epoch"] = max(told["epoch"] for told in ready.values()) + 1
        behind = [address for address, told in ready.items() if not told["serving"]]
        # Held in order, the first alone: of two switches at a time one loses there, before it has changed anything.
        try:
            for group in (behind[:1], behind[1:]):
                self._post(group, "/models/hold", body, self.settings.hold_seconds + 2)
        except (SwitchBusy, SwitchFailed):
            self._each(behind, lambda address: self._release(address, body))
            raise
        committed = self._post(behind, "/models/commit", body, COMMIT_SECONDS)
        return {address: told for address, told in ready.items() if told["serving"]} | committed

    def _release(self, address: str, body: dict[str, Any]) -> None:
        try:
            self._call(address, "POST", "/models/release", body, 2)
        except (Away, SwitchBusy, SwitchFailed):
            return  # its gate opens by itself

    def _post(self, addresses: Iterable[str], path: str, body: dict[str, Any], seconds: float) -> Told:
        def send(address: str) -> dict[str, Any]:
            try:
                return self._call(address, "POST", path, body, seconds)
            except Away:
                return {}

        return {address: told for address, told in self._each(addresses, send).items() if told}

    def _call(self, address: str, method: str, path: str, body: dict[str, Any], seconds: float) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.settings.token}"}
        try:
            answer = requests.request(
                method, f"http://{address}{path}", json=body or None, headers=headers, timeout=(2, seconds)
            )
            told = answer.json()
        except requests.exceptions.ConnectTimeout as error:
            raise SwitchFailed(f"The replica at {address} does not take connections.") from error
        except requests.exceptions.ConnectionError as error:
            raise Away from error
        except requests.RequestException as error:
            raise SwitchFailed(f"The replica at {address} failed at {path}: {type(error).__name__}.") from error
        if answer.ok:
            return dict(told)
        code, message = told["error"]["code"], told["error"]["message"]
        if code in ("switch_busy", "stale_epoch", "not_prepared"):
            raise SwitchBusy(f"The replica at {address} says: {message}")
        raise SwitchFailed(f"The replica at {address} says: {message}")

    @staticmethod
    def _each(addresses: Iterable[str], work: Callable[[str], Any]) -> dict[str, Any]:
        found = list(addresses)
        with ThreadPoolExecutor(max(1, len(found))) as pool:
            return dict(zip(found, pool.map(work, found), strict=True))
