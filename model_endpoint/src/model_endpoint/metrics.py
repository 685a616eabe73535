"""What Prometheus reads."""

import threading

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# OpenTelemetry's for http.server.request.duration.
OPEN_TELEMETRY = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
MOST_VERSIONS = 4
"""Of each model so many have numbers of their own; those of older ones go, else they would grow for ever."""
LATENCY = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4)


class Metrics:
    """The metrics of one application, in a registry of its own; what is `known` by the model's name is of all."""

    def __init__(self, beside: "Metrics | None" = None) -> None:
        self.registry = CollectorRegistry()
        self.known: KnownMetrics = beside.known if beside else KnownMetrics(self.registry)
        self.requests = Counter("model_requests", "Answered requests", ["endpoint", "status"], registry=self.registry)
        self.latency = Histogram(
            "model_request_seconds", "Time of a request", ["endpoint"], buckets=LATENCY, registry=self.registry
        )
        self.texts = Histogram(
            "model_texts", "Texts in a request", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512), registry=self.registry
        )
        self.in_work = Gauge("model_requests_in_work", "Requests in work or waiting", registry=self.registry)
        self.queue = Gauge("model_queue", "Inferences that wait for a core or the GPU", registry=self.registry)
        self.version = Gauge("model_version", "The served version, 0 when none", registry=self.registry)
        self.switches = Counter("model_switches", "Switches of this replica", registry=self.registry)
        self.switch_failures = Counter("model_switch_failures", "Versions that were refused", registry=self.registry)

        self.log: LogMetrics = beside.log if beside else LogMetrics(self.registry)

    def answered(self, endpoint: str, status: str, seconds: float) -> None:
        """Counts one answer."""
        self.requests.labels(endpoint, status).inc()
        self.latency.labels(endpoint).observe(seconds)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class LogMetrics:
    """Of the log of predictions, which is one for all models of a replica."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows = Counter("model_log_rows", "Rows that were written to the log of predictions", registry=registry)
        self.dropped = Counter(
            "model_log_dropped_rows", "Rows that were not, by reason: full, refused", ["reason"], registry=registry
        )
        self.waiting = Gauge("model_log_waiting_rows", "Rows that wait to be written", registry=registry)
        for reason in ("full", "refused"):
            self.dropped.labels(reason)


class KnownMetrics:
    """With the names and labels that dashboards for other servers look for; one for all models of a replica."""

    def __init__(self, registry: CollectorRegistry) -> None:
        model = ["model_name", "model_version"]
        self._http = Histogram(
            "http_server_request_duration_seconds",
            "Time of a request (OpenTelemetry)",
            ["http_request_method", "http_route", "http_response_status_code", *model],
            buckets=OPEN_TELEMETRY,
            registry=registry,
        )
        self._rest = Counter(
            "rest_server_requests", "Answered requests (MLServer)", ["method", "path", "status_code"], registry=registry
        )
        self._success = Counter("model_infer_request_success", "Predictions (MLServer)", model, registry=registry)
        self._failure = Counter(
            "model_infer_request_failure",
            "Predictions that failed or were refused (MLServer)",
            model,
            registry=registry,
        )
        self._parts = [
            Histogram(
                f"request_{part}_seconds", f"{words} (KServe)", model[:1], buckets=OPEN_TELEMETRY, registry=registry
            )
            for part, words in (
                ("preprocess", "From a request to its texts"),
                ("predict", "From texts to scores, waiting for a core included"),
                ("postprocess", "From scores to the answer"),
            )
        ]
        self._versions: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def answered(self, method: str, route: str, status: str, model: tuple[str, str], seconds: float) -> None:
        """Counts one answer; `model` is the name and version that gave it, or that is served."""
        if model[1] not in self._versions.get(model[0], ()):
            self._begin(*model)
        self._http.labels(method, route, status, *model).observe(seconds)
        self._rest.labels(method, route, status).inc()

    def inferred(self, model: tuple[str, str], parts: tuple[float, float, float] | None) -> None:
        """Counts one prediction; `parts` are the seconds before, in and after the model, None where it failed."""
        if parts is None:
            self._failure.labels(*model).inc()
            return
        self._success.labels(*model).inc()
        for histogram, seconds in zip(self._parts, parts, strict=True):
            histogram.labels(model[0]).observe(seconds)

    def _begin(self, name: str, version: str) -> None:
        """Remembers a version, and forgets the numbers of the one before the last few."""
        with self._lock:
            known = self._versions.setdefault(name, [])
            if version in known:
                return
            known.append(version)
            gone = known.pop(0) if len(known) > MOST_VERSIONS else None
        if gone is not None:
            for metric in (self._http, self._success, self._failure):
                metric.remove_by_labels({"model_name": name, "model_version": gone})
