"""What a replica serves, what it has prepared, and the gate between the two.

A switch has three moves. *Prepare* loads the next model beside the current one. *Hold* stops new requests
at the gate, for milliseconds; of those inside, each ends its inference and is answered, or goes back to the
gate where it has more to compute. *Commit* swaps and opens the gate. When every replica is held before the
first commits, no client of the fleet can see new, then old, then new.

Epochs count the fleet's switches. Whoever leads one takes a number higher than every replica's; a hold or
commit with a lower one comes too late and is refused. Two may lead at a time, and with the same number: a hold
belongs to its leader, by name.

A replica that was stopped at any point of this answers nobody before it has heard what is served: `standing`.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mlops_contract.lending import PEERS_SECONDS
from mlops_contract.voucher import Voucher
from model_endpoint.errors import NoModel, NotPrepared, Overloaded, Rejoining, StaleEpoch, Stopped, SwitchBusy
from model_endpoint.standing import Standing
from model_runner import Model

R = TypeVar("R")
# So long a request waits for a replica that has just woken up; then another one is asked.
REJOIN_SECONDS = 1.0


class Interrupted(Exception):
    """A switch is being committed: what is being computed with the old model is to be given up."""


@dataclass(frozen=True)
class Loaded:
    """A version and the model that serves it."""

    version: Voucher
    model: Model


class Slot:
    """The current and the prepared model of one replica; every method may be called from any thread."""

    def __init__(self, max_requests: int, hold_seconds: float) -> None:
        self.max_requests = max_requests
        self.hold_seconds = hold_seconds
        self.current: Loaded | None = None
        self.prepared: Loaded | None = None
        self.epoch = 0
        self.standing = Standing()
        self._standing_before = 0.0
        self._leader = ""
        self._held_until = 0.0
        self._inside = 0
        self._requests = 0
        self._changed = threading.Condition()

    @property
    def requests(self) -> int:
        """Requests inside or at the gate now."""
        return self._requests

    @property
    def held(self) -> bool:
        """Whether the gate is shut."""
        return time.monotonic() < self._held_until

    def run(self, work: Callable[[Loaded], R], leases: list[Callable[[], None]]) -> R:
        """What `work` makes of the current model; Overloaded at once when `max_requests` are in work.

        For a switch the request counts as inside until whoever sends the answer has called what is put in `leases`.
        In work it is no longer than `work` takes: a proxy that has just got an answer may send the next request.
        """
        with self._changed:
            if self._requests >= self.max_requests:
                raise Overloaded(f"{self.max_requests} requests are in work here; try again in a second.")
            self._requests += 1
        try:
            return self._run(work, leases)
        finally:
            with self._changed:
                self._requests -= 1

    def _run(self, work: Callable[[Loaded], R], leases: list[Callable[[], None]]) -> R:
        """When a switch interrupts the work it starts again, most likely with the next model."""
        while True:
            loaded = self._enter()
            try:
                result = work(loaded)
                self._refuse_sleeper(loaded)
            except Interrupted:
                self._leave()
            except BaseException:
                self._leave()
                raise
            else:
                leases.append(self._leave)
                return result

    def check(self) -> None:
        """Raises Interrupted when a switch wants the requests inside to stop."""
        if self.held:
            raise Interrupted

    def _refuse_sleeper(self, loaded: Loaded) -> None:
        """Raises Stopped where the process was stopped meanwhile, unless what it computed with is still served."""
        if not self.standing.good and (not self.standing.wait(REJOIN_SECONDS) or self.current is not loaded):
            raise Stopped("This replica was stopped while it computed the answer; ask again.")

    def _enter(self) -> Loaded:
        if self.current is not None and not self.standing.wait(REJOIN_SECONDS):
            raise Rejoining("This replica has just come back and asks what is served; try again in a second.")
        with self._changed:
            while self.held:
                self._changed.wait(self._held_until - time.monotonic())
            if self.current is None:
                raise NoModel("No model yet: run the pipeline once, its first model becomes the Champion.")
            self._inside += 1
            return self.current

    def _leave(self) -> None:
        with self._changed:
            self._inside -= 1
            if not self._inside and self.held:
                self._changed.notify_all()

    def offer(self, loaded: Loaded) -> None:
        """Keeps `loaded` ready for a commit, in the place of what was prepared before."""
        with self._changed:
            self._refuse_others("")
            self.prepared = loaded

    def withdraw(self, number: int) -> None:
        """Drops the prepared version `number`: it will not be committed."""
        with self._changed:
            if self.prepared and self.prepared.version.version == number and not self.held:
                self.prepared = None

    def hold(self, number: int, epoch: int, leader: str) -> None:
        """Stops requests at the gate and returns when none is inside; it opens by itself after `hold_seconds`."""
        with self._changed:
            self._refuse_others(leader)
            self._refuse_stale(epoch)
            self._refuse_unprepared(number)
            again, self._leader = self.held, leader
            self._held_until = time.monotonic() + self.hold_seconds
            # Should the leader's next word not come in time, the fleet may have switched.
            before = self.standing.cut(self._held_until)
            self._standing_before = self._standing_before if again else before
            while self._inside and self.held:
                self._changed.wait(self._held_until - time.monotonic())
            if self._inside:
                raise SwitchBusy(f"A request here takes longer than {self.hold_seconds:g} s.")

    def release(self, leader: str) -> None:
        """Gives up the hold of `leader`: the gate opens and nothing has changed."""
        with self._changed:
            if self._leader == leader:
                self.standing.lend(self._standing_before)
                self._open()

    def commit(self, number: int, epoch: int, leader: str) -> Loaded | None:
        """Serves the prepared version `number` from now on, opens the gate, returns what was served before."""
        with self._changed:
            self._refuse_others(leader)
            self._refuse_stale(epoch)
            self._refuse_unprepared(number)
            before = self.current
            self.current, self.prepared = self.prepared, None
            self.epoch = epoch
            if self.held:  # in time, so that all commit now
                self.standing.lend(time.monotonic() + PEERS_SECONDS)
            self._open()
            return before

    def _refuse_others(self, leader: str) -> None:
        if self.held and self._leader != leader:
            raise SwitchBusy(f"A switch that {self._leader} leads is just being committed.")

    def _refuse_stale(self, epoch: int) -> None:
        if epoch <= self.epoch:
            raise StaleEpoch(f"Epoch {epoch} is over: this replica is at {self.epoch}.")

    def _refuse_unprepared(self, number: int) -> None:
        if self.prepared is None or self.prepared.version.version != number:
            raise NotPrepared(f"Version {number} is not prepared here: POST /models/prepare first.")

    def _open(self) -> None:
        self._held_until = 0.0
        self._changed.notify_all()
