"""How shadows stand, over HTTP and for Prometheus."""

from collections.abc import Iterator

from flask import Flask, Response, jsonify, request
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from training_endpoint.data import classifiers
from training_endpoint.errors import DatabaseUnavailable, NoDataset
from training_endpoint.http.classifiers import named
from training_endpoint.settings import Settings
from training_endpoint.shadow import decisions


def install(app: Flask, settings: Settings, registry: CollectorRegistry) -> None:
    """Adds the route, and what Prometheus reads."""
    registry.register(ShadowCollector(settings))

    @app.get("/shadow")
    def shadow() -> Response:
        classifier = named(settings, request.args)
        if classifier is None:
            raise NoDataset("There is no classifier yet: POST /datasets imports the dataset that DATASET names.")
        return jsonify(classifier=classifier.name, shadow=decisions.standing(settings, classifier))


class ShadowCollector(Collector):
    """Of each classifier that has a shadow."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self) -> Iterator[Metric]:
        labels = ["classifier", "model_version"]
        evidence = GaugeMetricFamily(
            "shadow_evidence", "Of labels; 1 / SIGNIFICANCE decides.", labels=[*labels, "that_it_is"]
        )
        given = GaugeMetricFamily("shadow_labels", "Labels on what it answers otherwise.", labels=labels)
        try:
            live = classifiers.live(self._settings.database_url)
            for name, found in decisions.all_standing(self._settings, live).items():
                of = [name, str(found["version"])]
                given.add_metric(of, found["labels"])
                for side in ("better", "worse"):
                    evidence.add_metric([*of, side], found[side])
        except DatabaseUnavailable:
            return
        yield from (evidence, given)
