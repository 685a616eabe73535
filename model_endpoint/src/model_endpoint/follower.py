"""Follows the alias: the replica that sees a new Champion first leads the fleet's switch to it."""

import logging
import random
import threading

from mlops_contract.errors import PlatformError
from model_endpoint.errors import NoSuchVersion, RegistryUnavailable
from model_endpoint.fleet import Fleet
from model_endpoint.replica import Replica

log = logging.getLogger(__name__)


class Follower:
    """One thread that polls. `trouble` is the sentence that says why it does not follow now, or empty."""

    def __init__(self, replica: Replica, fleet: Fleet) -> None:
        self.replica = replica
        self.fleet = fleet
        self.trouble = ""
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
        settings = self.replica.settings
        champion = self.replica.registry.champion(settings.model_name, settings.model_alias)
        if not self.replica.confirm(champion):
            self.fleet.change(champion.version)
            self.replica.confirm(champion)

    def _join(self) -> None:
        """Starts with what the others serve, so that a replica that comes up in a switch does not run ahead."""
        while not self._stop.is_set():
            number, epoch = self._served()
            if number is None or number == self.replica.version:
                return
            self.replica.commit(number, epoch)

    def _served(self) -> tuple[int | None, int]:
        replica = self.replica
        others = [told for told in self.fleet.look().values() if told["version"] is not None]
        leader = max(others, key=lambda told: told["epoch"], default=None)
        epoch = max(leader["epoch"] if leader else 1, replica.slot.epoch + 1)
        if leader and leader["version"] == replica.version:
            return replica.version, epoch
        try:
            number = leader["version"] if leader else self._champion()
            replica.prepare(number)
        except RegistryUnavailable:
            number = replica.prepare_last_good()
            replica.from_cache = number is not None
            if number is None or replica.version is not None:
                raise
        return number, epoch

    def _champion(self) -> int:
        settings = self.replica.settings
        return self.replica.registry.champion(settings.model_name, settings.model_alias).version

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
