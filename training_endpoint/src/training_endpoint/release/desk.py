"""The release desk: whoever wants a version served comes here. It writes the ledger, then waits for the effect."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import MlflowUnavailable, NothingToDecide, SwitchFailed
from training_endpoint.release import inheritance, ledger, versions
from training_endpoint.release.ledger import Decision
from training_endpoint.release.reconciler import Reconciler, State
from training_endpoint.settings import Settings

POLL_S = 0.05


@dataclass(frozen=True)
class Desk:
    """What people and the pipeline ask for; the reconciler carries it out."""

    settings: Settings
    reconciler: Reconciler

    def of(self, classifier: Classifier) -> "Desk":
        """The desk for a classifier's model."""
        return Desk(classifier.settings(self.settings), self.reconciler.of(classifier))

    def champion(self) -> int | None:
        """The version that the ledger names."""
        newest = ledger.newest(self.settings.database_url, self.settings.model_name)
        return newest.to_version if newest else None

    def promote(self, version: int, who: str, reason: str, pinned: bool, after: int | None = None) -> dict[str, Any]:
        """Has `version` served from now on, whatever was measured; answers as `state` when every replica serves it.

        Raises `UnknownVersion`, `FilesLost`, or `ChampionChanged` where another decision than `after` is the newest
        (nothing was written), or `SwitchFailed` (written, and tried again).
        """
        voucher = inheritance.voucher(self.settings, version)
        with suppress(MlflowUnavailable):  # the replicas may have them; else this decision waits for MLflow
            versions.files(self.settings, voucher, "serving/")
        return self._decide(version, who, "override", reason, pinned, after)

    def roll_back(self, who: str, reason: str, pinned: bool) -> dict[str, Any]:
        """Has the version served that was the Champion before the present one."""
        before = ledger.champions(self.settings.database_url, self.settings.model_name)[1:]
        if not before:
            raise NothingToDecide("There was no other Champion before this one: nothing to roll back to.")
        return self.promote(before[0], who, reason, pinned)

    def unpin(self, who: str, reason: str) -> dict[str, Any]:
        """Lets training's verdicts move the Champion again."""
        newest = ledger.newest(self.settings.database_url, self.settings.model_name)
        if newest is None or not newest.pinned:
            raise NothingToDecide("No version is pinned: training's verdicts decide already.")
        return self._decide(None, who, "unpin", reason, False)

    def state(self) -> dict[str, Any]:
        """{"model_name", "champion", "pinned", "decision", "served", "alias", "switch", "trouble"}: what the ledger
        names, and whether MLflow and every replica follow it already."""
        newest = ledger.newest(self.settings.database_url, self.settings.model_name)
        state = self.reconciler.state
        current = newest is not None and state.decision is not None and state.decision.id == newest.id
        return {
            "model_name": self.settings.model_name,
            "alias_name": self.settings.model_alias,
            "champion": newest.to_version if newest else None,
            "pinned": newest.pinned if newest else False,
            "decision": shown(newest) if newest else None,
            "served": current and state.served,
            "alias": current and state.alias,
            "switch": state.switch if current and state.served else {},
            "trouble": state.trouble,
        }

    def wait(self, seconds: float) -> dict[str, Any]:
        """The state as soon as what the ledger names is served everywhere, or after `seconds`."""
        deadline = time.monotonic() + seconds
        self.reconciler.wake()
        while True:
            state = self.state()
            if state["served"] or state["champion"] is None or time.monotonic() > deadline:
                return state
            time.sleep(POLL_S)

    def _decide(
        self, version: int | None, who: str, verdict: str, reason: str, pinned: bool, after: int | None = None
    ) -> dict[str, Any]:
        decided = ledger.decide_by_hand(
            self.settings.database_url,
            self.settings.model_name,
            who,
            verdict,
            reason,
            to_version=version,
            pinned=pinned,
            after=after,
        )
        self.reconciler.wake(afresh=True)
        state = self._settled(decided)
        if not state.served:
            raise SwitchFailed(
                f"Version {decided.to_version} is decided for and recorded, but not served everywhere yet: "
                f"{state.trouble or 'no model endpoint has confirmed it'} It is tried again by itself; "
                "sh launch.sh status shows when it is done."
            )
        return {**self.state(), "previous_version": decided.from_version}

    def _settled(self, decided: Decision) -> State:
        """The reconciler's state once it has carried out `decided`, or cannot."""
        deadline = time.monotonic() + self.settings.switch_seconds + 30
        while True:
            state = self.reconciler.state
            if state.decision is not None and state.decision.id >= decided.id and (state.served or state.trouble):
                return state
            if time.monotonic() > deadline:
                return state
            time.sleep(POLL_S)


def shown(decision: Decision) -> dict[str, Any]:
    """A decision as GET /release and the history show it; times are ISO 8601."""
    times = {name: getattr(decision, name) for name in ("at", "alias_at", "served_at")}
    plain = {name: getattr(decision, name) for name in ("id", "who", "from_version", "to_version", "verdict", "reason")}
    return {
        **plain,
        "pinned": decision.pinned,
        "job_id": decision.job_id,
        **{name: value and value.isoformat() for name, value in times.items()},
    }
