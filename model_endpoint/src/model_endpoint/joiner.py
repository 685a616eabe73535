"""How a replica that has just started comes to serve: what the others serve, else what it served last.

After that it serves what the release desk tells it, and nothing by itself.
"""

import logging
import threading
from typing import Any

import requests

from mlops_contract.errors import PlatformError
from mlops_contract.voucher import Voucher
from model_endpoint.replica import Replica

# Between two looks at a fleet that is in the middle of a switch.
LOOK_SECONDS = 0.05
RETRY_SECONDS = 0.5
NOTHING_YET = "No model is served yet: run the pipeline once, its first model becomes the Champion."

log = logging.getLogger(__name__)


class Joiner:
    """One thread that ends when something is served. `trouble` says what is in the way, or is empty."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.trouble = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="joiner", daemon=True)

    def start(self) -> None:
        """Begins to join; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after what it is doing."""
        self._stop.set()
        self._thread.join()

    def join(self) -> None:
        """Serves what the others serve. None is in a switch then, and a switch that begins now finds this one."""
        replica = self.replica
        while not self._stop.is_set():
            told = self._others()
            if replica.slot.held or any(one["held"] for one in told):
                self._stop.wait(LOOK_SECONDS)
                continue
            serving = [one for one in told if one.get("voucher")]
            leader = max(serving, key=lambda one: int(one["epoch"]), default=None)
            voucher = Voucher.from_dict(leader["voucher"]) if leader else replica.memory.voucher()
            current = replica.slot.current
            if current and (leader is None or voucher is None or current.version.key == voucher.key):
                return
            if voucher is None:
                self.trouble = NOTHING_YET
                return
            if not replica.has_prepared(voucher):
                replica.prepare(voucher)
                continue  # somebody may have switched meanwhile: look again
            epoch = max(int(leader["epoch"]) if leader else 1, replica.slot.epoch + 1)
            replica.commit(voucher.version, epoch, replica.settings.replica)

    def _others(self) -> list[dict[str, Any]]:
        """What each replica that answers says of itself."""
        found = []
        headers = {"Authorization": f"Bearer {self.replica.settings.token}"}
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the machine has no business between replicas
            for address in self.replica.peers():
                try:
                    answer = session.get(f"http://{address}/models", headers=headers, timeout=2)
                    found += [answer.json()] if answer.ok else []
                except requests.RequestException:
                    continue
        return [one for one in found if isinstance(one, dict) and one.get("replica") != self.replica.settings.replica]

    def _run(self) -> None:
        while not self._stop.is_set() and self.replica.version is None:
            trouble = NOTHING_YET
            try:
                self.join()
            except PlatformError as error:
                trouble = error.message
            except BaseException as error:  # a panic in a library's Rust is no Exception
                log.exception("the joiner goes on after an unexpected error")
                trouble = f"{type(error).__name__}: {error}"
            if trouble not in (self.trouble, NOTHING_YET):
                log.warning("%s", trouble)
            self.trouble = trouble
            if self.replica.version is None:
                self._stop.wait(RETRY_SECONDS)
        self.trouble = ""
