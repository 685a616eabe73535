"""Makes MLflow's alias and every model endpoint agree with the ledger's newest row, again and again.

Nothing else moves either. What a stranger does in MLflow is adopted as a decision where training vouches for the
version, and put back where it does not; what is served never follows MLflow by itself.
"""

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from mlops_contract.errors import PlatformError
from mlops_contract.store import FilesLost, SourceAway
from mlops_contract.voucher import Voucher
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import DatabaseUnavailable, MlflowUnavailable, SwitchBusy, SwitchFailed
from training_endpoint.release import alias, inheritance, ledger, peers, versions
from training_endpoint.release.fleet import Fleet
from training_endpoint.release.ledger import Decision
from training_endpoint.settings import Settings

GLANCE_S = 0.5
"""Between two looks at the ledger, so that a decision does not wait."""
MLFLOW_PAUSE_S = 30
"""The longest between two questions to an MLflow that does not answer."""
PAUSE_S = 15
"""After a switch that failed: each try loads the version again on every replica."""

log = logging.getLogger(__name__)


@dataclass
class State:
    """What people and the pipeline are told: is the newest decision in force, and if not, why."""

    decision: Decision | None = None
    served: bool = False
    alias: bool = False
    switch: dict[str, Any] = field(default_factory=dict)
    """The fleet's last report: {"version", "replicas", "seconds"}."""
    trouble: str = ""


class Reconciler:
    """Of one classifier's model. `state` is replaced as a whole at each step, so anybody may read it."""

    def __init__(self, settings: Settings, fleet: Fleet | None = None) -> None:
        self.settings = settings
        self.fleet = fleet or Fleet(settings)
        self.state = State()
        self._failed: tuple[int, float, str] = (0, 0.0, "")
        self._looked = self._asked = 0.0
        self._vouched: tuple[int, Voucher] | None = None
        self.alias_pause = settings.reconcile_seconds
        """Between two looks at an alias that nobody has moved."""
        self._mlflow_away = (0.0, 0.0, "")  # until when it is left in peace, the pause after that, why
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        self.fleet.start()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after what it is doing."""
        self._stopping = True
        self._woken.set()
        self._thread.join()
        self.fleet.stop()

    def of(self, classifier: Classifier) -> "Reconciler":
        """The one for a classifier's model."""
        return self

    @property
    def trouble(self) -> str:
        """What is in the way of any model, or ''."""
        return self.state.trouble

    def wake(self, afresh: bool = False) -> None:
        """A decision has been written, or is waited for; `afresh` tries at once what has just failed."""
        if afresh:
            self._failed = (0, 0.0, "")
            self._mlflow_away = (0.0, 0.0, "")
            self._asked = 0.0
        self._woken.set()

    def step(self) -> None:
        """One look at the ledger; at fleet and MLflow too when it is time, or when a decision is not in force."""
        self.follow(ledger.newest(self.settings.database_url, self.settings.model_name))

    def follow(self, decision: Decision | None) -> None:
        """As `step`, for who has looked at the ledger already."""
        state = State(decision, switch=self.state.switch)
        known = self.state.decision
        news = decision and (known is None or known.id != decision.id or not decision.served_at)
        if not news and time.monotonic() - self._looked < self.settings.reconcile_seconds:
            return
        self._looked = time.monotonic()
        troubles: list[str] = []
        if decision is not None and decision.to_version is not None:
            for name, act in (("served", self._serve), ("alias", self._name)):
                try:
                    setattr(state, name, act(decision, self._voucher(decision), state))
                except DatabaseUnavailable:
                    raise
                except PlatformError as error:
                    troubles += [error.message] if error.message not in troubles else []
        state.trouble = " ".join(troubles)
        self._publish(state)

    def _voucher(self, decision: Decision) -> Voucher:
        """The version's voucher, with why it is served among its tags."""
        if self._vouched and self._vouched[0] == decision.id:
            return self._vouched[1]
        assert decision.to_version is not None  # noqa: S101 - `step` has looked
        voucher = inheritance.voucher(self.settings, decision.to_version)
        why = ledger.reason_of(self.settings.database_url, self.settings.model_name, voucher.version) or decision
        voucher = replace(voucher, tags={**voucher.tags, "verdict": why.verdict, "verdict_text": why.reason[:1000]})
        self._vouched = decision.id, voucher
        return voucher

    def _serve(self, decision: Decision, voucher: Voucher, state: State) -> bool:
        """Whether every replica serves the version now; switches them where one does not."""
        told = self.fleet.glance() if decision.served_at else self.fleet.look()
        self.fleet.found(told)
        behind = [address for address, one in told.items() if one.get("key") != voucher.key]
        if behind or (not told and self.settings.model_endpoints):
            version, since, reason = self._failed
            if version == voucher.version and time.monotonic() - since < PAUSE_S:
                raise SwitchFailed(reason)
            try:
                state.switch = self.fleet.change(self._newest)
            except (SwitchFailed, SwitchBusy) as error:
                if told:  # without a replica there is nothing to spare
                    self._failed = (voucher.version, time.monotonic(), error.message)
                raise
            if state.switch["version"] != voucher.version:  # somebody decided meanwhile: the next step says so
                return False
        elif decision.served_at is None:
            self.fleet.settle(told, voucher.key)
            replicas = [
                {
                    "replica": one["replica"],
                    "address": address,
                    "version": one["version"],
                    "previous_version": one["version"],
                }
                for address, one in told.items()
            ]
            state.switch = {"version": voucher.version, "replicas": replicas, "seconds": 0.0}
        if decision.served_at is None:
            ledger.took_effect(self.settings.database_url, decision, "served")
        return True

    def _newest(self) -> Voucher:
        decision = ledger.newest(self.settings.database_url, self.settings.model_name)
        if decision is None or decision.to_version is None:
            raise SwitchFailed("The ledger names no version.")
        return self._voucher(decision)

    def _name(self, decision: Decision, voucher: Voucher, state: State) -> bool:
        """Whether MLflow's alias names the version; moves it, or deals with who moved it."""
        known = self.state.decision
        if self.state.alias and known and known.id == decision.id and time.monotonic() - self._asked < self.alias_pause:
            return True
        self._asked = time.monotonic()
        found = self._named(decision)
        if found != voucher.version:
            if decision.alias_at is not None and found is not None and self._adopts(decision, found):
                return True
            alias.move(self.settings, voucher.version)
            if decision.alias_at is not None:
                self._report(
                    f"The alias named {found or 'nothing'} in MLflow, and names version {voucher.version} again."
                )
        if decision.alias_at is None:
            ledger.took_effect(self.settings.database_url, decision, "alias")
        return True

    def _named(self, decision: Decision) -> int | None:
        """What the alias names. An MLflow that is too slow is not asked again at once: that would keep it so."""
        until, pause, reason = self._mlflow_away
        if decision.alias_at is not None and time.monotonic() < until:
            raise MlflowUnavailable(reason)
        try:
            found = alias.named(self.settings)
        except MlflowUnavailable as error:
            pause = min(max(2 * pause, self.settings.reconcile_seconds), MLFLOW_PAUSE_S)
            self._mlflow_away = time.monotonic() + pause, pause, error.message
            raise
        self._mlflow_away = 0.0, 0.0, ""
        return found

    def _adopts(self, decision: Decision, found: int) -> bool:
        """Whether a move made in MLflow becomes a decision: the setting allows it, and the files are training's own."""
        moved = f"Somebody moved {self.settings.model_alias} to version {found} in MLflow"
        voucher = versions.find(self.settings, found)
        if voucher is None:
            self._report(f"{moved}, which training did not register.")
            return False
        if not self.settings.adopt_alias_moves:
            self._report(f"{moved}; ADOPT_ALIAS_MOVES is off.")
            return False
        try:
            versions.check_in_mlflow(self.settings, voucher)
        except FilesLost as error:
            self._report(f"{moved}; its files are not the registered ones: {error.message}")
            return False
        except SourceAway as error:
            raise MlflowUnavailable(error.message) from error
        ledger.decide_by_hand(
            self.settings.database_url,
            self.settings.model_name,
            "somebody in MLflow",
            "override",
            f"{self.settings.model_alias} was moved from version {decision.to_version} to {found} in MLflow",
            to_version=found,
            pinned=False,
        )
        self._woken.set()
        return True

    def _report(self, sentence: str) -> None:
        """Tells people what a stranger did."""
        log.warning("%s", sentence)
        peers.say_in_slack(self.settings, f":warning: *{self.settings.model_name}* – {sentence}")

    def _publish(self, state: State) -> None:
        if state.trouble and state.trouble != self.state.trouble:
            log.warning("%s", state.trouble)
        self.state = state

    def _run(self) -> None:
        pause = GLANCE_S
        while not self._stopping:
            try:
                self.step()
                pause = GLANCE_S
            except DatabaseUnavailable as error:
                self._publish(replace(self.state, trouble=error.message))
                pause = min(pause * 2, 10)
            except Exception as error:
                log.exception("the reconciler goes on after an unexpected error")
                self._publish(replace(self.state, trouble=f"{type(error).__name__}: {error}"))
                pause = min(pause * 2, 10)
            self._woken.wait(pause)
            self._woken.clear()
