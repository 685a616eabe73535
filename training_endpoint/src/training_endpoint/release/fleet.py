"""All replicas together: found by name, prepared all, held all, then committed all."""

import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from mlops_contract.addresses import resolve
from mlops_contract.voucher import Voucher
from training_endpoint.errors import SwitchBusy, SwitchFailed
from training_endpoint.settings import Settings

COMMIT_SECONDS = 10
RETRY_SECONDS = 0.2
# A replica that takes connections must say this soon what it serves; else it hangs, and nobody switches.
LOOK_SECONDS = 5
Told = dict[str, dict[str, Any]]


class Away(Exception):
    """Nothing listens at the address: it answers nobody, and joins the others when it comes up."""


class Fleet:
    """The replicas behind MODEL_ENDPOINTS."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def addresses(self) -> list[str]:
        """Every replica's ip:port, sorted."""
        return resolve(self.settings.model_endpoints)

    def look(self) -> Told:
        """What each reachable replica says of itself, by address."""
        return self._each(self.addresses(), lambda address: self._call(address, "GET", "/models", {}, 2), SwitchFailed)

    def change(self, wanted: Callable[[], Voucher]) -> dict[str, Any]:
        """Switches every replica to the version that `wanted` says, or none: SwitchFailed says which cannot, and why.

        Answers {"version", "replicas": [{"replica", "address", "version", "previous_version"}], "seconds"}.
        Whatever the others' switches do in between, it is tried again until the deadline.
        """
        start = time.monotonic()
        before: dict[str, int | None] = {}
        while True:
            voucher = wanted()
            number = voucher.version
            try:
                ready = self._change(voucher, before)
            except SwitchBusy:
                if time.monotonic() - start > COMMIT_SECONDS:
                    raise
                time.sleep(RETRY_SECONDS)
            except SwitchFailed:
                self._tell(self.addresses(), "/models/withdraw", {"version": number})
                raise
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

    def _change(self, voucher: Voucher, before: dict[str, int | None]) -> Told:
        """Three moves; what each replica said at the end. What they served is put into `before`, unless it is there."""
        found = self._each(self.addresses(), lambda address: self._call(address, "GET", "/models", {}, LOOK_SECONDS))
        for address, told in found.items():
            before.setdefault(address, told["version"])
        ready = self._post(found, "/models/prepare", {"voucher": voucher.as_dict()}, self.settings.switch_seconds)
        if not ready:
            raise SwitchFailed(f"No replica answers at {', '.join(self.settings.model_endpoints)}.")
        body: dict[str, Any] = {"version": voucher.version}
        body["epoch"] = max(told["epoch"] for told in ready.values()) + 1
        body["leader"] = f"the release desk ({secrets.token_hex(4)})"
        behind = [address for address, told in ready.items() if not told["serving"]]
        start = time.monotonic()
        # Held in order, the first alone: of two switches at a time one loses there, before it has changed anything.
        try:
            for group in (behind[:1], behind[1:]):
                self._post(group, "/models/hold", body, self.settings.hold_seconds + 2)
            self._refuse_latecomers(set(ready))
            if time.monotonic() - start > self.settings.hold_seconds:
                raise SwitchBusy("The first replica's gate opened before the last one's was shut.")
        except (SwitchBusy, SwitchFailed):
            self._tell(behind, "/models/release", body)
            raise
        committed = self._post(behind, "/models/commit", body, COMMIT_SECONDS)
        return {address: told for address, told in ready.items() if told["serving"]} | committed

    def _refuse_latecomers(self, known: set[str]) -> None:
        """Who has come up since the preparation would go on with the old version: SwitchBusy, so that it takes part."""
        others = [address for address in self.addresses() if address not in known]
        late = self._each(others, lambda address: self._call(address, "GET", "/models", {}, 1))
        if late:
            raise SwitchBusy(f"The replica at {min(late)} has just come up.")

    def _tell(self, addresses: Iterable[str], path: str, body: dict[str, Any]) -> None:
        """Says it to whoever listens; what is held opens by itself, and what is prepared can be prepared again."""
        self._each(addresses, lambda address: self._call(address, "POST", path, body, 2), SwitchBusy, SwitchFailed)

    def _post(self, addresses: Iterable[str], path: str, body: dict[str, Any], seconds: float) -> Told:
        return self._each(addresses, lambda address: self._call(address, "POST", path, body, seconds))

    def _call(self, address: str, method: str, path: str, body: dict[str, Any], seconds: float) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.settings.platform_token}"}
        try:
            with requests.Session() as session:
                session.trust_env = False  # a proxy of the machine has no business between services
                answer = session.request(
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
    def _each(addresses: Iterable[str], work: Callable[[str], dict[str, Any]], *ignored: type[Exception]) -> Told:
        """What `work` gives for each address, without those who are away or fail with an `ignored` error."""

        left_out: tuple[type[Exception], ...] = (Away, *ignored)

        def one(address: str) -> dict[str, Any] | None:
            try:
                return work(address)
            except left_out:
                return None

        asked = list(addresses)
        with ThreadPoolExecutor(max(1, len(asked))) as pool:
            found = zip(asked, pool.map(one, asked), strict=True)
            return {address: told for address, told in found if told is not None}
