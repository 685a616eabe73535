"""How a replica comes to serve, and to know that it still may.

One that has just started serves what the others serve, else what it served last. After that it serves what the release
desk tells it. One that was stopped or cut off begins as if it had just started: `standing` says when.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from mlops_contract.errors import PlatformError
from mlops_contract.lending import PEERS_SECONDS
from mlops_contract.voucher import Voucher
from model_endpoint.peers import ANSWER_SECONDS, ask
from model_endpoint.replica import Replica
from model_endpoint.standing import BEAT_SECONDS, SILENT_SECONDS

# Between two looks at a fleet that is in the middle of a switch, or for a replica that may not answer.
LOOK_SECONDS = 0.05
# Between two questions what the others serve, while nothing is served here; where there is nothing yet, ever longer.
RETRY_SECONDS, RETRY_MOST_SECONDS = 0.5, 4.0
NOTHING_YET = "No model is served yet: run the pipeline once, its first model becomes the Champion."

Told = Callable[[], tuple[float, list[dict[str, Any]]]]

log = logging.getLogger(__name__)


class Joiner:
    """One thread. `trouble` says what is in the way of serving, or is empty."""

    def __init__(
        self, replica: Replica, on_beat: Callable[[int], None] | None = None, told: Told | None = None
    ) -> None:
        """`on_beat` is told at each beat how many replicas there are; `told` is what `Peers` heard of this model."""
        self.replica = replica
        self.trouble = ""
        self._on_beat = on_beat
        self._told = told
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="joiner", daemon=True)
        self._joined = threading.Event()

    def start(self) -> None:
        """Begins to join; returns at once."""
        self.replica.slot.standing.watched()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after what it is doing."""
        self._stop.set()
        self._thread.join()

    def settled(self, seconds: float) -> bool:
        """Whether the first attempt has ended, well or not, within `seconds`."""
        return self._joined.wait(seconds)

    def join(self) -> None:
        """Serves what the others serve. None is in a switch then, and a switch that begins now finds this one."""
        replica = self.replica
        while not self._stop.is_set():
            told = self._others()
            if replica.slot.held or any(one["held"] for one in told):
                self._stop.wait(LOOK_SECONDS)
                continue
            leader = _newest(told)
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
            known = int(leader["epoch"]) if leader else replica.memory.epoch()
            replica.commit(voucher.version, max(known, replica.slot.epoch + 1), replica.settings.replica)

    def beat(self) -> None:
        """Has the others say whether what is served here is still what they serve, where the desk has not said so."""
        standing, slot = self.replica.slot.standing, self.replica.slot
        current = slot.current
        if current is None or standing.left > ANSWER_SECONDS + BEAT_SECONDS:
            return
        asked, told = self._heard()
        if slot.held or any(one["held"] for one in told):
            return
        leader = _newest(told)
        if leader and leader["key"] != current.version.key and int(leader["epoch"]) > slot.epoch:
            self.join()
        elif leader or (standing.alone and self.replica.peers()):
            # Without any address, not even its own, it is cut off, and nobody asks it.
            standing.lend(asked + PEERS_SECONDS)

    def _heard(self) -> tuple[float, list[dict[str, Any]]]:
        """The same as of a moment ago, and of which."""
        if self._told is None:
            return time.monotonic(), self._others()
        asked, told = self._told()
        return asked, self._but_this_one(told)

    def _others(self) -> list[dict[str, Any]]:
        """What each replica that answers says of this model now."""
        return self._but_this_one(ask(self.replica.peers(), "/models", self.replica.settings.token))

    def _but_this_one(self, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
        # One without a key is of a release before vouchers; what it serves cannot be vouched for.
        return [one for one in told if "key" in one and one.get("replica") != self.replica.settings.replica]

    def _run(self) -> None:
        slot, pause, before = self.replica.slot, 0.0, time.monotonic()
        while not self._stop.wait(pause):
            now = time.monotonic()
            slot.standing.beat(now - before)
            before, trouble = now, ""
            try:
                if slot.current is None:
                    trouble = NOTHING_YET
                    self.join()
                else:
                    self.beat()
                if self._on_beat:
                    self._on_beat(len(self.replica.peers()))
            except PlatformError as error:
                trouble = error.message
            except BaseException as error:  # a panic in a library's Rust is no Exception
                log.exception("the joiner goes on after an unexpected error")
                trouble = f"{type(error).__name__}: {error}"
            if trouble not in ("", self.trouble, NOTHING_YET):
                log.warning("%s", trouble)
            self.trouble = "" if slot.current else trouble
            self._joined.set()
            if slot.current is None:
                longer = trouble == NOTHING_YET and pause >= RETRY_SECONDS
                pause = min(2 * pause, RETRY_MOST_SECONDS) if longer else RETRY_SECONDS
            else:
                # While the desk comes there is nothing to do.
                idle = slot.standing.left - SILENT_SECONDS - ANSWER_SECONDS
                pause = max(BEAT_SECONDS, idle) if slot.standing.good else LOOK_SECONDS


def _newest(told: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Of the replicas that serve something, the one that has seen the most switches."""
    return max((one for one in told if one.get("voucher")), key=lambda one: int(one["epoch"]), default=None)
