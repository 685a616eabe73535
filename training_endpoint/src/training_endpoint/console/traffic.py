"""Requests and latency of each model over time, as the replicas' metrics tell them.

Replicas count from their start and keep no history, so each is asked once a minute; what came since is a point, and the
newest points are kept in a file, which a restart reads.
"""

import json
import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass

import requests
from prometheus_client.parser import text_string_to_metric_families

from mlops_contract.addresses import resolve
from training_endpoint.release import peers
from training_endpoint.settings import Settings

LOOK_S = 60.0
TIMEOUT_S = (1, 3)
MOST_POINTS = 20_160
"""Two models that are asked all the time are known for a week."""
METRIC = "http_server_request_duration_seconds"
PREDICTING = frozenset({"/", "/predict", "/invocations", "/infer", "/text_classification"})
"""Routes, or their ends, that answer predictions."""

log = logging.getLogger(__name__)

Counts = Counter[tuple[str, str, bool, str]]
"""By model, its version, whether it failed or was refused, and upper edge in seconds: answered requests up to that
edge."""


@dataclass(frozen=True)
class Point:
    """What one minute had of one model; `slots` are counts by the upper edge in seconds, `+Inf` for none."""

    at: float
    model: str
    requests: int
    failed: int
    slots: dict[str, int]


class Traffic:
    """`points` are what is known, the oldest first; each look adds some."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.points: deque[Point] = deque(maxlen=MOST_POINTS)
        self._file = settings.state_dir / "traffic.jsonl"
        self._lines = 0
        self._before: dict[str, Counts] = {}

    def load(self) -> None:
        """Takes up what an earlier process has kept."""
        with suppress(OSError):
            for line in self._file.read_text().splitlines():
                with suppress(ValueError, TypeError):  # one that was being written when its process died
                    self.points.append(Point(**json.loads(line)))
        self._lines = 2 * MOST_POINTS + 1  # the next look writes it anew

    def look(self) -> None:
        """Asks each replica; one that does not answer is asked again the next time."""
        now, came = time.time(), Counts()
        for address in resolve(self.settings.model_endpoints):
            told = _ask(address)
            if told is None:
                continue
            before = self._before.get(address)
            self._before[address] = told
            if before is not None:  # else nobody knows since when it has counted
                # Where it counts less it was started again; what it counts no longer is of a version long gone.
                again = any(told[key] < count for key, count in before.items() if key in told)
                came += told if again else told - before
        self._keep(points(now, came))

    def _keep(self, new: list[Point]) -> None:
        self.points.extend(new)
        try:
            if self._lines + len(new) > 2 * MOST_POINTS:
                fresh = self._file.with_suffix(".new")
                fresh.write_text(_lines(self.points))
                fresh.replace(self._file)
                self._lines = len(self.points)
            elif new:
                with self._file.open("a") as file:
                    file.write(_lines(new))
                self._lines += len(new)
        except OSError as error:
            log.warning("the requests of the last minute are not kept over a restart: %s", error.strerror)


def counts(text: str) -> Counts:
    """Of the metrics of one replica, in the exposition format, those of predictions."""
    found = Counts()
    for family in text_string_to_metric_families(text):
        if family.name != METRIC:
            continue
        for sample in family.samples:
            given = sample.labels
            if sample.name != f"{METRIC}_bucket" or given.get("http_request_method") != "POST":
                continue
            route, model, version = (given.get(name, "") for name in ("http_route", "model_name", "model_version"))
            if model and f"/{route.rpartition('/')[2]}" in PREDICTING and not route.startswith("/models"):
                failed = given.get("http_response_status_code", "") >= "400"
                found[model, version, failed, given["le"]] += int(sample.value)
    return found


def points(at: float, came: Mapping[tuple[str, str, bool, str], int]) -> list[Point]:
    """A point of each model that was asked, from counts up to each edge."""
    made = []
    for model in sorted({name for name, *_ in came}):
        up_to: Counter[str] = Counter()
        failed = 0
        for (name, _, is_failed, edge), count in came.items():
            if name == model:
                up_to[edge] += count
                failed += count if is_failed and edge == "+Inf" else 0
        slots, below = {}, 0
        for edge in sorted(up_to, key=float):
            if up_to[edge] > below:
                slots[edge] = up_to[edge] - below
            below = max(below, up_to[edge])
        if below:
            made.append(Point(round(at), model, below, failed, slots))
    return made


def quantile(slots: Mapping[str, int], share: float) -> float | None:
    """Seconds within which that share of requests was answered, even within a slot; the last edge at most."""
    edges = sorted(slots, key=float)
    wanted, below = share * sum(slots.values()), 0
    for edge in edges:
        if slots[edge] and below + slots[edge] >= wanted:
            low, high = _before(edge), float(edge)
            return low if high == float("inf") else low + (high - low) * (wanted - below) / slots[edge]
        below += slots[edge]
    return None


# OpenTelemetry's edges, which the replicas' metric has: a slot begins where the one before it ends.
EDGES = (0.0, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


def _before(edge: str) -> float:
    return max(one for one in EDGES if one < float(edge))


def _ask(address: str) -> Counts | None:
    try:
        answer = peers.call("GET", f"http://{address}/metrics", timeout=TIMEOUT_S)
        answer.raise_for_status()
        return counts(answer.text)
    except (requests.RequestException, ValueError):
        return None


def _lines(some: Iterable[Point]) -> str:
    return "".join(json.dumps(asdict(point)) + "\n" for point in some)
