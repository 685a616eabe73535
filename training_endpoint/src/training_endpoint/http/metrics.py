"""Numbers for Prometheus, taken from the table of jobs when they are asked for."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mlops_contract.words import JobStatus
from training_endpoint.errors import DatabaseUnavailable
from training_endpoint.jobs.queue import Jobs


class _JobsCollector(Collector):
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[Metric]:
        by_status = GaugeMetricFamily("training_jobs", "Training jobs by status.", labels=["status"])
        last = GaugeMetricFamily("training_last_job", "The newest succeeded job, by what is measured.", labels=["of"])
        try:
            counts = self._jobs.counts()
            newest = self._jobs.newest_succeeded()
        except DatabaseUnavailable:
            yield GaugeMetricFamily("training_database_up", "1 when the training database answers.", 0)
            return
        yield GaugeMetricFamily("training_database_up", "1 when the training database answers.", 1)
        for status in JobStatus:
            by_status.add_metric([status], counts.get(status, 0))
        yield by_status
        if newest is not None:
            values = {f"{name}_seconds": seconds for name, seconds in (newest["detail"].get("timings") or {}).items()}
            values |= newest["detail"].get("metrics") or {}
            for name, value in values.items():
                if isinstance(value, int | float):
                    last.add_metric([name], value)
            yield last


def registry(jobs: Jobs) -> CollectorRegistry:
    """A registry with the training endpoint's metrics; it reads the database only when it is scraped."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_JobsCollector(jobs))
    return made
