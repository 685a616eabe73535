"""One replica: what it serves, how it gets the next version, and what it tells about itself."""

import ctypes
import gc
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops_contract.addresses import resolve, split
from mlops_contract.lending import LENT_SECONDS
from mlops_contract.store import FilesLost, Store, mlflow_files, replica_files
from mlops_contract.voucher import Voucher
from model_endpoint import patterns
from model_endpoint.memory import Memory
from model_endpoint.metrics import Metrics
from model_endpoint.models import Models
from model_endpoint.settings import Settings
from model_endpoint.slot import Loaded, Slot
from model_runner import CannotServe, footprint, gather, load

log = logging.getLogger(__name__)

REMEMBERED_SWITCHES = 10
# Lower than the requests', so that a switch under load is not felt.
PREPARING_NICENESS = 10
REFUSAL_SECONDS = 60


class Replica:
    """Store, memory and slot of one replica."""

    def __init__(self, settings: Settings, metrics: Metrics, models: Models) -> None:
        self.settings = settings
        self.models = models
        self.store = Store(settings.cache, settings.cache_versions)
        self.memory = Memory(settings.cache, settings.model_name)
        self.slot = Slot(settings.max_requests, settings.hold_seconds)
        self.metrics = metrics
        self.switches = self.memory.switches()
        self._refusals: dict[str, tuple[float, str]] = {}
        self._preparing = threading.Lock()
        # The one thread that loads models, at low priority: Linux knows a niceness for each thread.
        self._loader = ThreadPoolExecutor(
            1, "loader", lambda: os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PREPARING_NICENESS)
        )

    def stop(self) -> None:
        """Returns when nothing is loaded or written any more."""
        self._loader.shutdown()

    @property
    def version(self) -> int | None:
        """The number of the version that is served."""
        return self.slot.current.version.version if self.slot.current else None

    def peers(self) -> list[str]:
        """The addresses of all replicas, this one's too."""
        return resolve(split(self.settings.endpoints))

    @property
    def ready(self) -> bool:
        """Whether it serves a version, and knows that this is the one to serve."""
        return self.slot.current is not None and self.slot.standing.good

    def lent(self, key: Any, replica: Any, clock: Any) -> dict[str, Any]:
        """The release desk has come. To the replica of that name it lends the right to answer with the version `key`.

        `clock`: what this replica's own clock said in the answer before, or None where nothing is lent.
        """
        standing, current = self.slot.standing, self.slot.current
        standing.heard()
        meant = replica == self.settings.replica and isinstance(clock, float)
        if meant and current and key == current.version.key:
            standing.lend(clock + LENT_SECONDS)
        return {
            "replica": self.settings.replica,
            "version": self.version,
            "key": current.version.key if current else None,
            "standing": standing.good,
            "clock": time.monotonic(),
        }

    def has_prepared(self, voucher: Voucher) -> bool:
        """Whether a commit of that version is all that is missing."""
        return self.slot.prepared is not None and self.slot.prepared.version.key == voucher.key

    def prepare(self, voucher: Voucher) -> bool:
        """Gets a version ready for a commit; whether it is served already. The errors say why not."""
        with self._preparing:
            if self.slot.current and self.slot.current.version.key == voucher.key:
                return True
            if self.has_prepared(voucher):
                return False
            since, reason = self._refusals.get(voucher.key, (0.0, ""))
            if reason and time.monotonic() - since < REFUSAL_SECONDS:
                raise CannotServe(reason)
            try:
                self.slot.offer(self._loader.submit(self._load, voucher).result())
                return False
            except CannotServe as error:
                self.metrics.switch_failures.inc()
                self._refusals = {voucher.key: (time.monotonic(), error.message)}
                raise

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

    def describe(self) -> dict[str, Any]:
        """What `GET /models` answers."""
        current, prepared = self.slot.current, self.slot.prepared
        return {
            "replica": self.settings.replica,
            "version": current.version.version if current else None,
            "key": current.version.key if current else None,
            "voucher": current.version.as_dict() if current else None,
            "run_id": current.version.run_id if current else None,
            "backend": current.model.kind if current else None,
            "prepared": prepared.version.version if prepared else None,
            "epoch": self.slot.epoch,
            "held": self.slot.held,
            "requests": self.slot.requests,
            "standing": self.slot.standing.good,
            "clock": time.monotonic(),
            "switches": self.switches,
        }

    def _load(self, voucher: Voucher) -> Loaded:
        folder = self._fetch(voucher)
        if (folder / "tokenizer.json").exists():
            patterns.refuse_slow(folder / "tokenizer.json")
        backend = self.settings.backend
        model = self.models.get(voucher.key, lambda: load(self._fetch(voucher), backend), footprint(folder, backend))
        return Loaded(voucher, model)

    def _fetch(self, voucher: Voucher) -> Path:
        """The version's folder in the store, where what it lacks is put first."""
        sources = [mlflow_files(self.settings.mlflow_url, voucher, self.settings.mlflow_account)]
        # What is served at the root, by this replica or another, is perhaps the same version.
        places = dict.fromkeys([*self.peers(), *(address.partition("/")[0] for address in self.peers())])
        sources += [replica_files(address, token) for address in places for token in self.settings.token.valid]
        try:
            return gather(lambda *folders: self.store.fetch(voucher, folders, sources), self.settings.backend)
        except FilesLost as error:
            raise CannotServe(error.message) from error

    def _after_commit(self, number: int, previous: int | None) -> None:
        # Gives the old model's memory back to the machine at once.
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.switches = [{"at": at, "version": number, "previous_version": previous}, *self.switches]
        del self.switches[REMEMBERED_SWITCHES:]
        current = self.slot.current
        if current:
            try:
                self.memory.write(current.version, self.slot.epoch, self.switches)
            except OSError as error:
                log.warning("a restart without the others would serve an older version: %s", error)
