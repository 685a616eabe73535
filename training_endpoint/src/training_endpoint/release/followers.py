"""A reconciler for each classifier, all in one thread."""

import logging
import threading
from dataclasses import replace

from training_endpoint.data import classifiers
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import DatabaseUnavailable
from training_endpoint.release.fleet import Fleet
from training_endpoint.release.reconciler import Reconciler
from training_endpoint.settings import Settings

log = logging.getLogger(__name__)


class Followers(Reconciler):
    """Steps the reconcilers of all classifiers, and of the settings' own model before there is any."""

    def __init__(self, settings: Settings, fleet: Fleet | None = None) -> None:
        super().__init__(settings, fleet)
        self._all: dict[str, Reconciler] = {}
        self._lock = threading.Lock()

    def of(self, classifier: Classifier) -> Reconciler:
        """The one for a classifier's model, which this one's thread steps."""
        with self._lock:
            found = self._all.get(classifier.name)
            if found is None:
                found = self._all[classifier.name] = Reconciler(classifier.settings(self.settings), self.fleet)
                found._woken = self._woken
        found.serves = classifier.is_default
        return found

    @property
    def trouble(self) -> str:
        """What is in the way of any of them, or ''."""
        with self._lock:
            troubles = [one.state.trouble for one in self._all.values()]
        return " ".join(dict.fromkeys(filter(None, [self.state.trouble, *troubles])))

    def step(self) -> None:
        """A step of each; what goes wrong with one keeps no other from its own."""
        found = classifiers.live(self.settings.database_url)
        if not found:
            super().step()
        for classifier in found:
            one = self.of(classifier)
            try:
                one.step()
            except DatabaseUnavailable:
                raise
            except Exception as error:
                log.exception("the reconciler of %s goes on after an unexpected error", classifier.name)
                one.state = replace(one.state, trouble=f"{type(error).__name__}: {error}")
