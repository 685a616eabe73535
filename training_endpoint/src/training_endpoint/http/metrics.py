"""Numbers for Prometheus, taken from the table of jobs and from the disks when they are asked for."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mlops_contract.words import JobStatus
from training_endpoint.errors import DatabaseUnavailable
from training_endpoint.jobs.queue import Jobs
from training_endpoint.upkeep import space
from training_endpoint.upkeep.janitor import Janitor


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


class _SpaceCollector(Collector):
    def __init__(self, janitor: Janitor) -> None:
        self._janitor = janitor

    def collect(self) -> Iterator[Metric]:
        places = space.places(self._janitor.settings)
        for of, text in (("free", "Room left"), ("total", "Size"), ("used", "Taken")):
            gauge = GaugeMetricFamily(f"training_disk_{of}_bytes", f"{text}, by place.", labels=["place"])
            for room in places:
                if room[of] is not None:
                    gauge.add_metric([room["place"]], room[of])
            yield gauge
        last = self._janitor.last
        if last is not None:
            yield GaugeMetricFamily("training_clean_timestamp_seconds", "The last clean-up.", last.at.timestamp())
            yield GaugeMetricFamily("training_clean_failed", "1 when it could not do all.", int(bool(last.trouble)))


def registry(jobs: Jobs, janitor: Janitor) -> CollectorRegistry:
    """A registry with the training endpoint's metrics; it reads the database only when it is scraped."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_JobsCollector(jobs))
    made.register(_SpaceCollector(janitor))
    return made
