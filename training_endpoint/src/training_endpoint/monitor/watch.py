"""Looks at the log again and again, and raises alarms: a line in the service's log, a metric, a message to Slack."""

import logging
from collections.abc import Callable
from datetime import datetime

from training_endpoint.data import classifiers
from training_endpoint.data.classifiers import Classifier
from training_endpoint.monitor import hours, report
from training_endpoint.monitor.report import Alarm
from training_endpoint.release import peers
from training_endpoint.settings import Settings

LOOK_S = 60.0

log = logging.getLogger(__name__)


class Watch:
    """`alarms` are those that hold, by classifier and kind."""

    def __init__(self, settings: Settings, start_run: Callable[[str, str], object] | None = None) -> None:
        """`start_run` is told a run's id and the classifier, where an alarm about the accuracy starts one."""
        self.settings = settings
        self._start_run = start_run
        self.alarms: dict[tuple[str, str], Alarm] = {}
        self._looked: dict[str, datetime] = {}

    def look(self) -> None:
        """Once at every classifier. Raises `DatabaseUnavailable`."""
        url, found = self.settings.database_url, {}
        for classifier in classifiers.live(url):
            self._looked[classifier.name] = hours.update(url, classifier, self._looked.get(classifier.name))
            for alarm in report.alarms(url, classifier, self.settings.alarm_loss):
                found[classifier.name, alarm.kind] = alarm
                known = self.alarms.get((classifier.name, alarm.kind))
                if known is None or known.version != alarm.version:
                    self._raise(classifier, alarm)
        for name, kind in self.alarms.keys() - found.keys():
            log.warning("the alarm about %s (%s) is over", name, kind)
        self.alarms = found

    def _raise(self, classifier: Classifier, alarm: Alarm) -> None:
        said = f"{classifier.name}, version {alarm.version}: {alarm.text}"
        log.warning("alarm (%s): %s", alarm.kind, said)
        peers.say_in_slack(self.settings, f":rotating_light: {said}")
        if self._start_run and self.settings.alarm_starts_run and alarm.kind == "accuracy":
            # One for each version: another alarm about the same one has nothing new to train on.
            self._start_run(f"alarm__{classifier.name}__{alarm.version}", classifier.name)
