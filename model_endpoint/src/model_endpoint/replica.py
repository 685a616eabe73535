"""One replica: what it serves, how it gets the next version, and what it tells about itself."""

import ctypes
import gc
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from model_endpoint.cache import Cache
from model_endpoint.metrics import Metrics
from model_endpoint.registry import Registry, Version
from model_endpoint.settings import Settings
from model_endpoint.slot import Loaded, Slot
from model_runner import CannotServe, load, wants_torch

log = logging.getLogger(__name__)

REMEMBERED_SWITCHES = 10
# Lower than the requests', so that a switch under load is not felt.
PREPARING_NICENESS = 10
REFUSAL_SECONDS = 60


class Replica:
    """Registry, cache and slot of one replica. `from_cache` says that no registry has confirmed the version."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.registry = Registry(settings.mlflow_url)
        self.cache = Cache(settings.cache, settings.cache_versions)
        self.slot = Slot(settings.max_requests, settings.hold_seconds)
        self.metrics = metrics
        self.from_cache = False
        self.switches: list[dict[str, Any]] = self._state().get("switches", [])
        self._refusals: dict[Version, tuple[float, str]] = {}
        self._preparing = threading.Lock()
        # The one thread that loads models, at low priority: Linux knows a niceness for each thread.
        self._loader = ThreadPoolExecutor(
            1, "loader", lambda: os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PREPARING_NICENESS)
        )

    @property
    def version(self) -> int | None:
        """The number of the version that is served."""
        return self.slot.current.version.version if self.slot.current else None

    def prepare(self, number: int) -> bool:
        """Gets version `number` ready for a commit; whether it is served already. The errors say why not."""
        return self._prepare(self.registry.version(self.settings.model_name, number))

    def prepare_last_good(self, number: int | None) -> int | None:
        """Without a registry: prepares what the cache knows as served last, if it is `number` or that is None.

        Its number; None where the cache knows nothing, or another version.
        """
        try:
            last = Version.from_dict(self._state()["version"])
        except (KeyError, TypeError):
            return None
        if number not in (None, last.version):
            return None
        self._prepare(last)
        return last.version

    def commit(self, number: int, epoch: int, leader: str) -> None:
        """Serves `number` from now on; a repeated commit changes nothing."""
        if self.version == number and self.slot.epoch >= epoch:
            return
        before = self.slot.commit(number, epoch, leader)
        previous = before.version.version if before else None
        del before
        self.metrics.version.set(number)
        self.metrics.switches.inc()
        self._loader.submit(self._after_commit, number, previous)

    def confirm(self, version: Version) -> bool:
        """Whether `version`, the registry's Champion, is what is served."""
        served = self.slot.current is not None and self.slot.current.version == version
        if served:
            self.from_cache = False
        return served

    def describe(self) -> dict[str, Any]:
        """What `GET /models` answers."""
        current, prepared = self.slot.current, self.slot.prepared
        return {
            "replica": self.settings.replica,
            "version": current.version.version if current else None,
            "run_id": current.version.run_id if current else None,
            "backend": current.model.kind if current else None,
            "prepared": prepared.version.version if prepared else None,
            "epoch": self.slot.epoch,
            "held": self.slot.held,
            "from_cache": self.from_cache,
            "requests": self.slot.requests,
            "switches": self.switches,
        }

    def _prepare(self, version: Version) -> bool:
        with self._preparing:
            if self.slot.current and self.slot.current.version == version:
                return True
            if self.slot.prepared and self.slot.prepared.version == version:
                return False
            since, reason = self._refusals.get(version, (0.0, ""))
            if reason and time.monotonic() - since < REFUSAL_SECONDS:
                raise CannotServe(reason)
            try:
                self.slot.offer(self._loader.submit(self._load, version).result())
                return False
            except CannotServe as error:
                self.metrics.switch_failures.inc()
                self._refusals = {version: (time.monotonic(), error.message)}
                raise

    def _load(self, version: Version) -> Loaded:
        backend = self.settings.backend
        version = self.cache.find(version) or self.registry.with_metrics(version)
        return Loaded(version, load(self.cache.fetch(self.registry, version, wants_torch(backend)), backend))

    def _after_commit(self, number: int, previous: int | None) -> None:
        # Gives the old model's memory back to the machine at once.
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.switches = [{"at": at, "version": number, "previous_version": previous}, *self.switches]
        del self.switches[REMEMBERED_SWITCHES:]
        current = self.slot.current
        if current:
            state = {"version": current.version.as_dict(), "switches": self.switches}
            try:
                self.cache.write_state(self.settings.model_name, state)
            except OSError as error:
                log.warning("a restart without MLflow would serve an older version: %s", error)

    def _state(self) -> dict[str, Any]:
        return self.cache.read_state(self.settings.model_name)
