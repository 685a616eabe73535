"""Clients that ask for predictions all the while, and what they saw."""

import http.client
import json
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType


class Load:
    """`seen` has (sent, answered, version) of each request: times of time.monotonic(), version 0 where it failed."""

    def __init__(self, url: str, connections: int, pause: float = 0.02) -> None:
        self.url = url
        self.seen: list[tuple[float, float, int]] = []
        self.why: Counter[str] = Counter()
        self._pause = pause
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(connections)
        self._clients = [self._pool.submit(self._ask) for _ in range(connections)]

    def _ask(self) -> None:
        body = json.dumps({"input": "A film to remember."}).encode()
        while not self._over.wait(self._pause):
            sent, version = time.monotonic(), 0
            try:
                request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=40) as answer:
                    version = int(json.load(answer)["model"]["version"])
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.why[str(error)] += 1
            self.seen.append((sent, time.monotonic(), version))

    def end(self) -> None:
        """Returns when every request has been answered."""
        self._over.set()
        for client in self._clients:
            client.result()
        self._pool.shutdown()

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()
