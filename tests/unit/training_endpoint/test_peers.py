"""Calls to neighbours: a connection is kept, and one that the neighbour has closed meanwhile is no failure."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from training_endpoint.release import peers

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def neighbour(answers: int) -> Iterator[tuple[str, list[int]]]:
    """Gives so many answers on each connection and reads one request more, then closes it without a word.

    Its URL; and of each connection, how many requests came.
    """
    asked: list[int] = []
    over = threading.Event()
    door = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = door.accept()
            except OSError:
                return
            asked.append(0)
            with connection:
                connection.settimeout(0.05)
                while not over.is_set():
                    try:
                        if not connection.recv(65536):
                            break
                    except TimeoutError:
                        continue
                    asked[-1] += 1
                    if asked[-1] > answers:
                        break
                    connection.sendall(ANSWER)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{door.getsockname()[1]}/", asked
    finally:
        over.set()
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join()


def ask(url: str) -> str:
    return peers.call("GET", url, timeout=5).text


def in_a_thread(url: str, times: int) -> list[str]:
    """What was answered to a thread that asks so often; its connection ends with it."""
    told: list[str] = []
    thread = threading.Thread(target=lambda: told.extend(ask(url) for _ in range(times)))
    thread.start()
    thread.join()
    return told


def test_who_is_asked_often_is_asked_over_one_connection() -> None:
    with neighbour(answers=9) as (url, asked):
        assert in_a_thread(url, 3) == ["ok"] * 3
        assert asked == [3]


def test_a_connection_that_was_closed_between_two_questions_is_no_failure() -> None:
    with neighbour(answers=1) as (url, asked):
        assert in_a_thread(url, 3) == ["ok"] * 3
        assert asked == [2, 2, 1], "the second question went to a connection that closed, and was asked again"


def test_who_never_answers_is_asked_twice_at_most() -> None:
    with neighbour(answers=0) as (url, asked):
        with pytest.raises(requests.ConnectionError):
            ask(url)
        assert asked == [1, 1]
