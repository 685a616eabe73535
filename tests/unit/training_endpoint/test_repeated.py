import logging
import threading

import pytest

from tests.services import wait_until
from training_endpoint.errors import DatabaseUnavailable
from training_endpoint.repeated import Repeated


def test_it_goes_on_whatever_goes_wrong_and_tells_each_trouble_once(caplog: pytest.LogCaptureFixture) -> None:
    troubles = [DatabaseUnavailable("away"), DatabaseUnavailable("away"), ValueError("odd"), ValueError("odd"), None]
    calls: list[int] = []
    done = threading.Event()

    def act() -> None:
        calls.append(1)
        trouble = troubles[min(len(calls), len(troubles)) - 1]
        if trouble:
            raise trouble
        done.set()

    one = Repeated("looking", act, 0.01, first=0)
    with caplog.at_level(logging.WARNING):
        one.start()
        assert done.wait(10)
        one.stop()
    told = [record.getMessage() for record in caplog.records]
    assert told == ["looking: away", "looking goes on after an unexpected error"]
    wait_until("the thread has ended", lambda: not any(each.name == "looking" for each in threading.enumerate()), 10)
