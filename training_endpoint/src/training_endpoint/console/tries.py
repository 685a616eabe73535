"""Whoever has sent too many wrong passwords is heard no more for a while, the right one neither."""

import threading
import time
from collections import OrderedDict, deque

from flask import request

from training_endpoint.errors import TooManyTries

MOST, WITHIN_S = 10, 600.0
"""Wrong passwords from one address within so many seconds."""
MOST_ADDRESSES = 10_000

Address = tuple[str, int]
"""Who tries, and how often he may."""


class Tries:
    """Wrong passwords of late, by address."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, addresses: tuple[Address, ...]) -> None:
        """Raises `TooManyTries`."""
        with self._lock:
            for address, most in addresses:
                wrong = self._wrong.get(address, deque())
                while wrong and time.monotonic() - wrong[0] > WITHIN_S:
                    wrong.popleft()
                if len(wrong) >= most:
                    minutes = max(1, round((WITHIN_S - (time.monotonic() - wrong[0])) / 60))
                    raise TooManyTries(
                        f"Too many wrong passwords came from your address: try again in {minutes} minutes."
                    )

    def count(self, addresses: tuple[Address, ...]) -> None:
        """One more was wrong."""
        with self._lock:
            for address, most in addresses:
                self._wrong.setdefault(address, deque(maxlen=most)).append(time.monotonic())
                self._wrong.move_to_end(address)
            while len(self._wrong) > MOST_ADDRESSES:
                self._wrong.popitem(last=False)


def addresses() -> tuple[Address, ...]:
    """Of the current request: who connects, and whom our nginx names last, which nobody else can choose.

    All that come through nginx share its address, which is why it may try more often.
    """
    peer = request.remote_addr or ""
    named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return ((peer, MOST),) if not named else ((f"{peer} {named}", MOST), (peer, 20 * MOST))
