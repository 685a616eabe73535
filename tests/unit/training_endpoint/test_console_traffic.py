"""Requests and latency over time, from what replicas say in their own words."""

from pathlib import Path

import pytest

from model_endpoint.metrics import Metrics
from tests import training
from training_endpoint.console import traffic
from training_endpoint.console.traffic import Traffic, counts, points, quantile

ASKED = ("films", "3")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the replica at each address says, '' for nothing."""
    said: dict[str, str] = {}
    monkeypatch.setattr(traffic, "resolve", lambda endpoints: sorted(said))
    monkeypatch.setattr(traffic, "_ask", lambda address: counts(said[address]) if said[address] else None)
    return said


def test_predictions_are_counted_and_nothing_else() -> None:
    metrics = Metrics()
    for route in ("/predict", "/invocations", "/v2/models/{name}/infer", "/"):
        metrics.known.answered("POST", route, "200", ASKED, 0.003)
    metrics.known.answered("POST", "/predict", "422", ASKED, 0.3)
    for method, route in (("GET", "/"), ("GET", "/health"), ("POST", "/models/lend"), ("POST", "/feedback")):
        metrics.known.answered(method, route, "200", ASKED, 0.003)
    metrics.known.answered("POST", "/predict", "503", ("", ""), 0.003)
    (point,) = points(7.2, counts(metrics.text().decode()))
    assert (point.at, point.model, point.requests, point.failed) == (7, "films", 5, 1)
    assert point.slots == {"0.005": 4, "0.5": 1}


def test_latency_is_within_the_slot_that_has_it() -> None:
    assert quantile({"0.005": 98, "0.5": 2}, 0.5) == pytest.approx(0.005 * 50 / 98)
    assert quantile({"0.005": 90, "0.5": 10}, 0.95) == pytest.approx(0.375)
    assert quantile({"+Inf": 1}, 0.5) == 10
    assert quantile({}, 0.5) is None


def test_what_came_since_the_last_look_is_a_point(tmp_path: Path, told: dict[str, str]) -> None:
    one, other = Metrics(), Metrics()
    kept = Traffic(training.settings("", tmp_path))

    def look() -> list[int]:
        told["a"], told["b"] = (metrics.text().decode() for metrics in (one, other))
        before = len(kept.points)
        kept.look()
        return [point.requests for point in list(kept.points)[before:]]

    one.known.answered("POST", "/predict", "200", ASKED, 0.01)
    assert look() == [], "nobody knows when that was"
    one.known.answered("POST", "/predict", "200", ASKED, 0.01)
    other.known.answered("POST", "/predict", "200", ASKED, 0.01)
    assert look() == [2]
    assert look() == []
    one = Metrics()  # started again, and asked
    one.known.answered("POST", "/predict", "200", ASKED, 0.01)
    other.known.answered("POST", "/predict", "200", ("mails", "1"), 0.01)
    assert look() == [1, 1]
    assert {point.model for point in kept.points} == {"films", "mails"}


def test_what_a_replica_forgets_of_old_versions_is_no_request(tmp_path: Path, told: dict[str, str]) -> None:
    metrics, kept = Metrics(), Traffic(training.settings("", tmp_path))
    for version in range(1, 10):
        for _ in range(3):
            metrics.known.answered("POST", "/predict", "200", ("films", str(version)), 0.01)
        told["a"] = metrics.text().decode()
        kept.look()
    assert [point.requests for point in kept.points] == [3] * 8


def test_a_replica_that_is_away_loses_nothing(tmp_path: Path, told: dict[str, str]) -> None:
    metrics, kept = Metrics(), Traffic(training.settings("", tmp_path))
    for text in (metrics.text().decode(), ""):
        told["a"] = text
        kept.look()
    for _ in range(3):
        metrics.known.answered("POST", "/predict", "200", ASKED, 0.01)
    told["a"] = metrics.text().decode()
    kept.look()
    assert [point.requests for point in kept.points] == [3]


def test_points_outlive_a_restart_and_a_torn_line(tmp_path: Path, told: dict[str, str]) -> None:
    metrics, kept = Metrics(), Traffic(training.settings("", tmp_path))
    told["a"] = metrics.text().decode()
    kept.look()
    metrics.known.answered("POST", "/predict", "200", ASKED, 0.01)
    told["a"] = metrics.text().decode()
    kept.look()
    with (tmp_path / "traffic.jsonl").open("a") as file:
        file.write('{"at": 1, "mod')
    again = Traffic(training.settings("", tmp_path))
    again.load()
    assert list(again.points) == list(kept.points) and len(again.points) == 1
    again.look()
    assert len((tmp_path / "traffic.jsonl").read_text().splitlines()) == 1


def test_the_file_stays_small(tmp_path: Path, told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "MOST_POINTS", 5)
    metrics, kept = Metrics(), Traffic(training.settings("", tmp_path))
    told["a"] = metrics.text().decode()
    kept.look()
    for _ in range(40):
        metrics.known.answered("POST", "/predict", "200", ASKED, 0.01)
        told["a"] = metrics.text().decode()
        kept.look()
        assert len((tmp_path / "traffic.jsonl").read_text().splitlines()) <= 10
    assert len(kept.points) == 5


def test_a_full_disk_stops_no_look(tmp_path: Path, told: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    metrics, kept = Metrics(), Traffic(training.settings("", tmp_path / "gone"))
    told["a"] = metrics.text().decode()
    kept.look()
    metrics.known.answered("POST", "/predict", "200", ASKED, 0.01)
    told["a"] = metrics.text().decode()
    kept.look()
    assert len(kept.points) == 1 and "not kept over a restart" in caplog.text
