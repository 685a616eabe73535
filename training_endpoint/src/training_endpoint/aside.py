"""Something that is done once, in a thread of its own, for which this process does not wait when it ends."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Answer = TypeVar("Answer")


def begun(name: str, work: Callable[[], Answer]) -> "Future[Answer]":
    """Begins; what `work` returns or raises is the future's. A pool would be waited for, and with it whoever hangs."""
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return answer
