"""A reconciler for each classifier, and one for what is at the replicas' root, all in one thread."""

import hashlib
import json
import logging
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import requests

from mlops_contract.addresses import resolve
from training_endpoint.data import classifiers
from training_endpoint.data.classifiers import Classifier
from training_endpoint.data.snapshot import left_out
from training_endpoint.errors import DatabaseUnavailable
from training_endpoint.release import peers
from training_endpoint.release.fleet import Fleet
from training_endpoint.release.reconciler import Reconciler
from training_endpoint.settings import Settings

TELL_S = 2.0
"""Between two looks at what the replicas should know of the classifiers; one that has just come up knows nothing."""
TIMEOUT_S = 3
ALIASES_AT_A_TIME = 4
"""So many of MLflow's aliases are looked at every RECONCILE_SECONDS; where there are more, each less often."""

log = logging.getLogger(__name__)


class Followers(Reconciler):
    """Steps the reconcilers of all classifiers, and of the settings' own model before there is any.

    Each classifier is served under its name. The default one is served at the root too, where the one before it goes
    on answering until it has a Champion.
    """

    def __init__(self, settings: Settings, fleet: Fleet | None = None) -> None:
        super().__init__(settings, fleet)
        self._own: dict[str, Reconciler] = {}
        self._root: dict[str, Reconciler] = {}
        """Of the default classifier alone."""
        self._told: tuple[float, list[str]] = (0.0, [])

    def of(self, classifier: Classifier) -> Reconciler:
        """Who says whether a classifier's model is served: of the default one, whether it is at the root."""
        if classifier.is_default:
            known = self._root.get(classifier.name)
            return known or self._root.setdefault(
                classifier.name, self._made(classifier.settings(self.settings), self.fleet)
            )
        return self._beside(classifier)

    @property
    def trouble(self) -> str:
        """What is in the way of any of them, or ''."""
        troubles = [one.state.trouble for one in (self, *self._root.values(), *self._own.values())]
        return " ".join(dict.fromkeys(filter(None, troubles)))

    def stop(self) -> None:
        """Ends the thread after what it is doing."""
        super().stop()
        for one in self._own.values():
            one.fleet.stop()

    def step(self) -> None:
        """A step of each; what goes wrong with one keeps no other from its own."""
        found = classifiers.live(self.settings.database_url)
        if not found:
            super().step()
            return
        self._tell(found)
        steps = [(one, self._beside(one)) for one in found]
        steps = [(one, self.of(one)) for one in found if one.is_default] + steps
        for name in self._root.keys() - {one.name for one in found if one.is_default}:
            del self._root[name]
        for name in self._own.keys() - {one.name for one in found}:
            self._own.pop(name).fleet.stop()
        if self._thread.is_alive():
            for one in self._own.values():
                one.fleet.start()
        for classifier, one in steps:
            one.alias_pause = self.settings.reconcile_seconds * max(1, len(steps) / ALIASES_AT_A_TIME)
            try:
                known = one.state.decision
                if known and known.served_at and known.id == classifier.decision:
                    one.follow(known)
                else:
                    one.step()
            except DatabaseUnavailable:
                raise
            except Exception as error:
                log.exception("the reconciler of %s goes on after an unexpected error", classifier.name)
                one.state = replace(one.state, trouble=f"{type(error).__name__}: {error}")

    def _beside(self, classifier: Classifier) -> Reconciler:
        known = self._own.get(classifier.name)
        if known is not None:
            return known
        settings = classifier.beside(self.settings)
        return self._own.setdefault(classifier.name, self._made(settings, Fleet(settings, self.fleet.visits)))

    def _made(self, settings: Settings, fleet: Fleet) -> Reconciler:
        made = Reconciler(settings, fleet)
        made._woken = self._woken
        return made

    def _tell(self, found: list[Classifier]) -> None:
        """Tells each replica which classifiers there are, and which is the default one."""
        names = [one.name for one in found]
        if names == self._told[1] and time.monotonic() - self._told[0] < TELL_S:
            return
        self._told = (time.monotonic(), names)
        dropped = classifiers.left_out(self.settings.database_url)
        body: dict[str, Any] = {
            "names": names,
            "default": next((one.name for one in found if one.is_default), ""),
            "notes": {name: left_out(reasons) for name, reasons in dropped.items()},
        }
        body["digest"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        for address in resolve(self.settings.model_endpoints):
            if self.fleet.loans.last(address).get("classifiers") == body["digest"]:
                continue
            with suppress(requests.RequestException):  # it is told when it answers again
                self.settings.platform_token.send(partial(_post, f"http://{address}/models/classifiers", body))


def _post(url: str, body: dict[str, Any], headers: dict[str, str]) -> requests.Response:
    return peers.call("POST", url, json=body, headers=headers, timeout=TIMEOUT_S)
