"""Replicas that are stopped, killed and started again under load, with the real nginx in front of real processes."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
import requests

from tests import training
from tests.integration.model_endpoint.stack import TOKEN, Replica, Serving, serving
from tests.load import Load
from tests.services import wait_until
from tests.unit.model_endpoint import stub
from training_endpoint.release.fleet import Fleet

CLIENTS = 8


@contextmanager
def joined(folder: Path, replicas: int) -> Iterator[tuple[Serving, Fleet]]:
    """Replicas that serve version 1, and the desk's side of them with its loans."""
    with serving("http://127.0.0.1:1", "text-classifier", folder, replicas) as made:
        made.module = "tests.integration.model_endpoint.joining"
        made.start()
        endpoints = ",".join(f"127.0.0.1:{one.port}" for one in made.replicas)
        desk = Fleet(training.settings("", folder, MODEL_ENDPOINTS=endpoints, PLATFORM_TOKEN=TOKEN))
        desk.start()
        try:
            desk.change(lambda: stub.voucher(1))
            yield made, desk
        finally:
            desk.stop()


def load(url: str) -> Load:
    return Load(f"{url}/predict", CLIENTS, pause=0)


def failures(asked: Load) -> int:
    return sum(not version for _, _, version in asked.seen)


def processes(replica: Replica) -> list[psutil.Process]:
    first = psutil.Process(replica.process.pid)
    return [first, *first.children(recursive=True)]


def stop(replica: Replica, sign: int) -> None:
    for one in processes(replica):
        os.kill(one.pid, sign)


def kill(replica: Replica) -> None:
    """Returns when all of it is gone."""
    found = processes(replica)
    for one in found:
        os.kill(one.pid, signal.SIGKILL)
    replica.process.wait(10)
    psutil.wait_procs(found, 10)


def listens(replica: Replica) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", replica.port)) == 0


def test_one_whose_first_process_dies_gives_its_port_up_whoever_keeps_a_connection(tmp_path: Path) -> None:
    with joined(tmp_path, 1) as (fleet, _), requests.Session() as kept:
        (one,) = fleet.replicas
        assert kept.get(f"{one.url}/health", timeout=5).ok
        one.process.kill()
        one.process.wait(10)
        # Its worker goes on with who has a connection, for a moment.
        wait_until("nobody listens there", lambda: not listens(one), 4)
        fleet.start()
        wait_until("it serves again", lambda: one.served() == "1", 30)


@pytest.mark.parametrize("seconds", [0.5, 8])
def test_one_that_is_stopped_does_not_hold_up_the_others_and_never_answers_with_the_old_version(
    tmp_path: Path, seconds: float
) -> None:
    with joined(tmp_path, 2) as (fleet, desk):
        hung = fleet.replicas[1]
        door = fleet.door()
        # What it was asked when it was stopped lies in its sockets until it wakes.
        waiting = ThreadPoolExecutor(4)
        stop(hung, signal.SIGSTOP)
        time.sleep(seconds)
        body = {"input": "good"}
        asked = [waiting.submit(requests.post, f"{hung.url}/predict", json=body, timeout=60) for _ in range(4)]
        start = time.monotonic()
        told = desk.change(lambda: stub.voucher(2))
        took = time.monotonic() - start
        assert [one["address"] for one in told["replicas"]] == [f"127.0.0.1:{fleet.replicas[0].port}"]
        assert took < 12, f"the others waited {took:.1f} s for one that hangs"
        with load(door) as through_nginx, load(hung.url) as directly:
            stop(hung, signal.SIGCONT)
            wait_until("it has joined the others", lambda: hung.served() == "2" and ready(hung), 20)
            time.sleep(1)
        late = [one.result().json().get("model", {}).get("version") for one in asked]
        assert "1" not in late, "what it was asked before it woke got the old version"
        assert 1 not in {version for _, _, version in directly.seen}
        assert {version for _, _, version in through_nginx.seen} == {2}, through_nginx.why
        waiting.shutdown()


def ready(replica: Replica) -> bool:
    return requests.get(f"{replica.url}/ready", timeout=5).ok


def test_the_desk_may_be_away_and_replicas_stopped_and_they_go_on(tmp_path: Path) -> None:
    with joined(tmp_path, 2) as (fleet, desk):
        desk.stop()
        with load(fleet.door()) as asked:
            time.sleep(9)
        assert {version for _, _, version in asked.seen} == {1}, asked.why
        for one in fleet.replicas:
            stop(one, signal.SIGSTOP)
        time.sleep(7)
        for one in fleet.replicas:
            stop(one, signal.SIGCONT)
        wait_until("both know what is served", lambda: all(map(ready, fleet.replicas)), 10)
        kill(fleet.replicas[1])
        with load(fleet.replicas[0].url) as asked:
            time.sleep(6)
        assert {version for _, _, version in asked.seen} == {1}, asked.why


def test_one_that_has_just_come_back_is_asked_when_the_other_dies(tmp_path: Path) -> None:
    with joined(tmp_path, 2) as (fleet, _):
        first, second = fleet.replicas
        door = fleet.door()
        with load(door) as asked:
            for dying, other in ((first, second), (second, first), (first, second)):
                wait_until("the other is ready", partial(ready, other), 20)
                kill(dying)
                died = time.monotonic()
                time.sleep(1)
                # What it was asked until it was gone is lost with it, and nothing else.
                lost = [begin for begin, _, version in asked.seen if begin > died and not version]
                assert not lost, asked.why
                fleet.start(dying)
                wait_until("it serves", partial(ready, dying), 20)
                slow = [end - begin for begin, end, _ in asked.seen if begin > died]
                assert max(slow) < 2.5, "a starting replica was asked before it was ready"


def test_one_that_starts_is_not_asked_before_it_is_ready(tmp_path: Path) -> None:
    with joined(tmp_path, 2) as (fleet, _):
        late = fleet.replicas[1]
        kill(late)
        fleet.variables["STUB_LOAD_SECONDS"] = "3"
        with load(fleet.door()) as asked:
            fleet.start(late)
            wait_until("it serves", lambda: ready(late), 20)
            time.sleep(1)
        assert not failures(asked), asked.why
        assert max(end - begin for begin, end, _ in asked.seen) < 2


def test_one_that_is_told_to_end_answers_what_it_was_asked_however_long_that_takes(tmp_path: Path) -> None:
    with serving("http://127.0.0.1:1", "text-classifier", tmp_path, 1, STUB_SECONDS="7") as fleet:
        fleet.module = "tests.integration.model_endpoint.stubbed"
        fleet.start()
        with ThreadPoolExecutor(1) as pool:
            url = f"{fleet.replicas[0].url}/predict"
            asked = pool.submit(requests.post, url, json={"input": "good"}, timeout=30)
            wait_until("it is in work", lambda: in_work(fleet.replicas[0]), 5)
            fleet.replicas[0].process.terminate()
            assert asked.result().status_code == 200


def test_replicas_that_are_told_to_end_by_turns_cost_no_request(tmp_path: Path) -> None:
    with joined(tmp_path, 2) as (fleet, _), load(fleet.door()) as asked:
        for turn in range(4):
            ending, other = fleet.replicas[turn % 2], fleet.replicas[1 - turn % 2]
            wait_until("the other is ready", partial(ready, other), 20)
            ending.process.terminate()
            ending.process.wait(20)
            fleet.start(ending)
            wait_until("it serves", partial(ready, ending), 20)
        assert not failures(asked), asked.why


def in_work(replica: Replica) -> bool:
    return "model_requests_in_work 1.0" in requests.get(f"{replica.url}/metrics", timeout=5).text
