"""Each shadow answers the log again while there is something to answer and room in the queue, one process at a time."""

import logging
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

from training_endpoint.data import classifiers
from training_endpoint.data.classifiers import Classifier
from training_endpoint.labelling import pick
from training_endpoint.settings import Settings
from training_endpoint.shadow import shadows, texts
from training_endpoint.shadow.answering import AT_ONCE, ROUND_S
from training_endpoint.shadow.shadows import Shadow

LOOK_S = 10.0
COMMAND = (sys.executable, "-m", "training_endpoint.shadow.answering")
WAITS = timedelta(minutes=1)
"""For so long a few texts wait for others, so that no model is loaded for each."""
ENDS_S = 120
"""A process that takes so much longer than a round has got stuck."""
FAILED_S = 300
"""After a round that failed."""

log = logging.getLogger(__name__)


class Rounds:
    """Starts the shadows' process whenever there is something for one, one at a time."""

    def __init__(self, settings: Settings, command: tuple[str, ...] = COMMAND) -> None:
        self._settings = settings
        self._command = command
        self.rests: dict[int, float] = {}
        """By shadow until when."""

    def look(self) -> None:
        """Once at every shadow. Returns when their processes have ended. Raises `DatabaseUnavailable`."""
        url = self._settings.database_url
        live = {one.model: one for one in classifiers.live(url)} if self._settings.shadow else {}
        for shadow in shadows.open_ones(url):
            classifier = live.get(shadow.model_name)
            rests = time.monotonic() < self.rests.get(shadow.id, 0)
            if classifier and not rests and _wanted(self._settings, classifier, shadow):
                self._round(classifier, shadow)

    def _round(self, classifier: Classifier, shadow: Shadow) -> None:
        try:
            ended = subprocess.run([*self._command, classifier.name], timeout=ROUND_S + ENDS_S, check=False).returncode
        except subprocess.TimeoutExpired:
            ended = -1
        if ended:
            log.warning("the shadow of %s did not answer; again in %d seconds", classifier.name, FAILED_S)
            self.rests[shadow.id] = time.monotonic() + FAILED_S


def _wanted(settings: Settings, classifier: Classifier, shadow: Shadow) -> bool:
    """Whether there is room in the queue, and a text to answer."""
    if not pick.room(settings, classifier.name, "disagreement"):
        return False
    found = texts.following(settings.database_url, classifier, shadow, AT_ONCE)
    return len(found) == AT_ONCE or bool(found and datetime.now(UTC) - found[0].at > WAITS)
