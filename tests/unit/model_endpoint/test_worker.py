"""How a replica's process meets those who connect, and takes leave of them."""

import socket
from types import SimpleNamespace

import pytest
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from model_endpoint import worker


def test_who_comes_too_late_hears_nothing_and_who_has_come_is_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as late:
        address = listener.getsockname()
        with socket.create_connection(address, 5) as early:
            early.sendall(b"a request")
            worker._hear_nobody(listener)
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.connect(address)
            served, _ = listener.accept()
            with served:
                assert served.recv(20) == b"a request"
                early.sendall(b"another")
                assert served.recv(20) == b"another"
                served.sendall(b"an answer")
                assert early.recv(20) == b"an answer"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_no_part_of_an_answer_waits_for_the_receipt_of_another(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies send that 40 ms later: a request took ten times as long."""
    monkeypatch.setattr(ThreadWorker, "load_wsgi", lambda self: None)
    made = worker.Worker.__new__(worker.Worker)
    made.app, made.cfg = SimpleNamespace(address=(host, 0)), SimpleNamespace(backlog=8)
    made.load_wsgi()
    (listener,) = made.sockets
    with listener, socket.create_connection(listener.getsockname()[:2], 5):
        served, _ = listener.accept()
        with served:
            assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
