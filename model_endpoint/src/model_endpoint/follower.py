"""Follows the alias: the replica that sees a new Champion first leads the fleet's switch to it."""

import logging
import random
import threading
import time

from mlops_contract.errors import PlatformError
from model_endpoint.errors import NoSuchVersion, RegistryUnavailable, SwitchFailed
from model_endpoint.fleet import Fleet
from model_endpoint.registry import Version
from model_endpoint.replica import Replica

log = logging.getLogger(__name__)

# After a failed switch to a version; each try loads it again on every replica.
PAUSE_SECONDS = 15
# Between two looks at a fleet that is in the middle of a switch.
LOOK_SECONDS = 0.05


class Follower:
    """One thread that polls. `trouble` is the sentence that says why it does not follow now, or empty."""

    def __init__(self, replica: Replica, fleet: Fleet) -> None:
        self.replica = replica
        self.fleet = fleet
        self.trouble = ""
        self._failed: tuple[Version | None, float, str] = (None, 0.0, "")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begins to follow; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after what it is doing."""
        self._stop.set()
        self._thread.join()

    def step(self) -> None:
        """One look at the registry: joins the fleet at first, switches the fleet later."""
        if self.replica.version is None:
            self._join()
        champion = self._champion()
        if self.replica.confirm(champion):
            return
        version, since, reason = self._failed
        if champion == version and time.monotonic() - since < PAUSE_SECONDS:
            raise SwitchFailed(reason)
        try:
            self.fleet.change(lambda: self._champion().version)
        except SwitchFailed as error:
            self._failed = (champion, time.monotonic(), error.message)
            raise
        self.replica.confirm(champion)

    def _join(self) -> None:
        """Starts with what the others serve. None is in a switch then, and a switch that begins now finds this one."""
        while not self._stop.is_set():
            told = self.fleet.look().values()
            if any(one["held"] for one in told):
                self._stop.wait(LOOK_SECONDS)
                continue
            others = [one for one in told if one["version"] is not None]
            leader = max(others, key=lambda one: one["epoch"], default=None)
            number = leader["version"] if leader else None
            replica = self.replica
            if replica.version is not None and number in (None, replica.version):
                return
            prepared = replica.slot.prepared
            if prepared and number in (None, prepared.version.version):
                epoch = max(leader["epoch"] if leader else 1, replica.slot.epoch + 1)
                replica.commit(prepared.version.version, epoch, replica.settings.replica)
            else:
                self._prepare(number)

    def _prepare(self, number: int | None) -> None:
        """Prepares version `number`, or the Champion; without a registry only what was served last."""
        replica = self.replica
        try:
            replica.prepare(number or self._champion().version)
            replica.from_cache = False
        except RegistryUnavailable:
            if replica.prepare_last_good(number) is None:
                raise
            replica.from_cache = True

    def _champion(self) -> Version:
        settings = self.replica.settings
        return self.replica.registry.champion(settings.model_name, settings.model_alias)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
                trouble = ""
            except NoSuchVersion as error:
                trouble = f"Nothing to follow yet. {error.message}"
            except PlatformError as error:
                trouble = error.message
            except Exception as error:
                log.exception("the follower goes on after an unexpected error")
                trouble = f"{type(error).__name__}: {error}"
            if trouble and trouble != self.trouble:
                log.warning("%s", trouble)
            self.trouble = trouble
            # Not all replicas at the same moment: whoever comes first leads.
            self._stop.wait(self.replica.settings.follow_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
