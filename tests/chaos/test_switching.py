"""Switches under load: no request fails, no client sees an old version after a new one."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.integration.model_endpoint.conftest import Registered, exported, fleet, registered
from tests.integration.model_endpoint.stack import Serving

__all__ = ["exported", "fleet", "registered"]  # fixtures, shared with the integration tests

CLIENTS = 8
SWITCHES = 6
REQUESTS = 2000


@dataclass(frozen=True)
class Seen:
    """One answer: when it was asked for and given (monotonic seconds), and from which version (0: it failed)."""

    asked: float
    answered: float
    version: int
    label: str


def ask(door: str, stop: threading.Event, budget: int) -> list[Seen]:
    seen: list[Seen] = []
    with requests.Session() as session:
        while not stop.is_set() or len(seen) < budget:
            texts = ["A film to love."] * (1 if len(seen) % 10 else 40)
            asked = time.monotonic()
            answer = session.post(f"{door}/predict", json={"input": texts}, timeout=30)
            told = answer.json() if answer.ok else {}
            labels = {row["label"] for row in told.get("predictions", [])}
            version = int(told["model"]["version"]) if len(labels) == 1 else 0
            seen.append(Seen(asked, time.monotonic(), version, min(labels, default=answer.text)))
    return seen


def test_switching_under_load(
    fleet: Callable[..., Serving],
    registered: Registered,
    exported: list[Path],
) -> None:
    versions = [registered.add(exported[number % 2]) for number in range(SWITCHES + 1)]
    serving = fleet(2)
    serving.start()
    serving.switch(versions[0])
    door = serving.door(NGINX_MAX_BODY="1m")
    stop = threading.Event()
    reported: list[tuple[float, int]] = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(ask, door, stop, REQUESTS // CLIENTS) for _ in range(CLIENTS)]
        try:
            for number in range(2, SWITCHES + 2):
                serving.switch(versions[number - 1])
                reported.append((time.monotonic(), number))
        finally:
            stop.set()
        histories = [client.result() for client in clients]

    seen = [one for history in histories for one in history]
    failed = [one for one in seen if not one.version]
    assert len(seen) >= REQUESTS and not failed, f"{len(failed)} of {len(seen)} requests failed: {failed[:3]}"
    assert {one.version for one in seen} == set(range(1, SWITCHES + 2)), "the load did not meet every version"
    for one in seen:
        assert one.label == ("negative", "positive")[(one.version - 1) % 2], "an answer mixed two models"
    for at, number in reported:
        assert all(one.version >= number for one in seen if one.asked > at), f"old answers after {number} was reported"
    for history in histories:
        answered = [one.version for one in history]
        assert answered == sorted(answered), "a client saw new, then old"
    # Over all clients: what was asked for after a new answer had come is never older than that answer.
    ends = sorted(seen, key=lambda one: one.answered)
    starts = sorted(seen, key=lambda one: one.asked)
    newest, place = 0, 0
    for one in starts:
        while ends[place].answered < one.asked:
            newest = max(newest, ends[place].version)
            place += 1
        assert one.version >= newest, "an old answer after a new one had been given"
