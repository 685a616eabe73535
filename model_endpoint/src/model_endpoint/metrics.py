"""What Prometheus reads."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCY = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4)


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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

        self.log = LogMetrics(self.registry)

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
