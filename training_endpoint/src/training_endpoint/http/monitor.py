"""How classifiers do, over HTTP and for Prometheus."""

from collections.abc import Iterator
from dataclasses import asdict

from flask import Flask, Response, jsonify, request
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from training_endpoint.data import classifiers
from training_endpoint.errors import DatabaseUnavailable, InvalidOverride, NoDataset
from training_endpoint.http import fields
from training_endpoint.http.classifiers import named
from training_endpoint.monitor import report
from training_endpoint.monitor.hours import MOST_DAYS
from training_endpoint.monitor.watch import Watch


def install(app: Flask, watch: Watch, registry: CollectorRegistry) -> None:
    """Adds the route, and what Prometheus reads."""
    settings = watch.settings
    registry.register(MonitorCollector(watch))

    @app.get("/monitor")
    def monitor() -> Response:
        by = request.args.get("by", "day")
        if by not in ("hour", "day"):
            raise InvalidOverride(f"by is {by[:20]!r}: it must be hour or day.")
        days = fields.limit("days", 7, MOST_DAYS)
        classifier = named(settings, request.args)
        if classifier is None:
            raise NoDataset("There is no classifier yet: POST /datasets imports the dataset that DATASET names.")
        return jsonify(
            classifier=classifier.name,
            windows=report.windows(settings.database_url, classifier, by, days),
            alarms=[asdict(alarm) for (name, _), alarm in sorted(watch.alarms.items()) if name == classifier.name],
        )


class MonitorCollector(Collector):
    """The newest hour of each classifier, and the alarms that hold."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        labels = ["classifier", "model_version"]
        estimated = GaugeMetricFamily("monitor_estimated_accuracy", "Of the day so far (CBPE).", labels=labels)
        true = GaugeMetricFamily("monitor_true_accuracy", "Of the day so far, by feedback.", labels=labels)
        rows = GaugeMetricFamily("monitor_rows", "Rows of the log of the day so far.", labels=labels)
        alarm = GaugeMetricFamily("monitor_alarm", "1 while an alarm holds.", labels=["classifier", "kind"])
        url = self._watch.settings.database_url
        try:
            for one in classifiers.live(url):
                for window in report.windows(url, one, "day", 0):
                    of = [one.name, str(window["version"])]
                    rows.add_metric(of, window["rows"])
                    if window["estimated"]:
                        estimated.add_metric(of, window["estimated"]["cbpe"]["accuracy"])
                    if window["true"]:
                        true.add_metric(of, window["true"]["accuracy"])
                for kind in report.KINDS:
                    alarm.add_metric([one.name, kind], int((one.name, kind) in self._watch.alarms))
        except DatabaseUnavailable:
            return
        yield from (estimated, true, rows, alarm)
