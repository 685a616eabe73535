"""How a replica's process takes leave of those who connect."""

import socket

import pytest

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
