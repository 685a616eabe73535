"""Any client: within every limit, and yet as costly as can be; and whether memory comes back."""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.hostile import tally
from tests.hostile.tally import Client
from tests.integration.model_endpoint.stack import Serving
from tests.services import wait_until

JSON = {"Content-Type": "application/json"}
SMALL = b'{"input":"a good film"}'
COSTLY = {
    "40 texts of 100,000 characters": ["ab " * 33_333] * 40,
    "512 texts of 1,200 characters": ["ab " * 400] * 512,
    "512 texts of 8,000 blanks": [" " * 8_000 + "a"] * 512,
    "40 texts of one letter that becomes many": ["\ufdfa" * 30_000] * 40,
    "128 texts as long as they are read": ["film " * 254] * 128,
}
BACK_MB = 60
"""What a replica may hold more than before, a minute after the last request."""


def memory_mb(fleet: Serving) -> list[float]:
    return [psutil.Process(replica.worker).memory_info().rss / 2**20 for replica in fleet.replicas]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", COSTLY)
def test_costly_requests_end_and_small_ones_beside_them_are_answered(fleet: Serving, door: str, name: str) -> None:
    body = json.dumps({"input": COSTLY[name]}).encode()
    for _ in range(4):  # what a process takes once, for its first large request
        Client(door).ask(f"costly: {name}", "POST", "/predict", body, JSON)
    before = memory_mb(fleet)

    def ask(_: int) -> int:
        return Client(door).ask(f"costly: {name}", "POST", "/predict", body, JSON)[0]

    with ThreadPoolExecutor(6) as pool:
        costly = [pool.submit(ask, number) for number in range(6)]
        beside = Client(door)
        while not all(one.done() for one in costly):
            beside.ask("small, beside costly ones", "POST", "/predict", SMALL, JSON)
            time.sleep(0.05)
    assert {one.result() for one in costly} <= {200, 413}
    tally.check(f"costly: {name}")
    tally.check("small, beside costly ones")

    def back() -> bool:
        return all(now - then < BACK_MB for now, then in zip(memory_mb(fleet), before, strict=True))

    wait_until("memory is back", back, 60)


@pytest.mark.timeout(300)
def test_what_nobody_waits_for_is_not_computed(fleet: Serving, door: str) -> None:
    body = json.dumps({"input": ["film " * 254] * 128}).encode()
    host, _, port = door.partition("//")[2].partition(":")
    for _ in range(20):
        client = http.client.HTTPConnection(host, int(port), timeout=20)
        client.request("POST", "/predict", body, JSON)
        time.sleep(0.05)
        client.close()
    small = Client(door)
    start = time.monotonic()
    assert small.ask("small, after clients that left", "POST", "/predict", SMALL, JSON)[0] == 200
    assert time.monotonic() - start < tally.LATEST_S / 2
