"""Gunicorn's worker with threads, which are given whole requests alone: a slow client occupies none."""

import re
import selectors
import socket
import struct
import time
from functools import partial
from typing import Any

from gunicorn.http import get_parser  # type: ignore[import-untyped] # it has no types
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped] # as above

ARRIVE_SECONDS = 10.0
"""From connecting to the last byte of the request; then from each piece of the answer to the next."""
MOST_ARRIVING = 500
"""Connections whose requests are not whole yet; the oldest is closed for one more."""
MOST_BYTES = 192 * 1024
"""Head and body; what is larger is left to gunicorn's own limits and the application's to refuse."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


def whole(request: bytes) -> bool:
    """Whether this is all of a request, or more than any may be."""
    head, end, body = request.partition(b"\r\n\r\n")
    if not end:
        return len(request) >= MOST_BYTES
    head += b"\r\n"
    if _CHUNKED.search(head):
        return body.endswith(b"0\r\n\r\n") or len(request) >= MOST_BYTES
    length = _LENGTH.search(head)
    return length is None or len(body) >= min(int(length[1]), MOST_BYTES)


class Worker(ThreadWorker):  # type: ignore[misc] # as above
    """Reads requests where gunicorn waits for connections, and closes those that do not come to an end."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._arriving: dict[Any, tuple[bytearray, float]] = {}  # connection: what came, until when; the oldest first

    def enqueue_req(self, conn: Any) -> None:
        """Gunicorn's way from a new connection to a thread; each carries one request."""
        if len(self._arriving) >= MOST_ARRIVING:
            self._drop(next(iter(self._arriving)))
        conn.sock.setblocking(False)
        self._arriving[conn] = (bytearray(), time.monotonic() + ARRIVE_SECONDS)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._read, conn))

    def murder_pending(self) -> None:
        """Called each second, and more often where something happens."""
        super().murder_pending()
        now = time.monotonic()
        for conn in [conn for conn, (_, until) in self._arriving.items() if until < now]:
            self._drop(conn)

    def _read(self, conn: Any, sock: socket.socket) -> None:
        came, _ = self._arriving[conn]
        try:
            piece = sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._drop(conn)
            return
        came += piece
        if not whole(bytes(came)):
            return
        del self._arriving[conn]
        self.poller.unregister(sock)
        conn.parser = get_parser(self.cfg, sock, conn.client)
        conn.parser.unreader.unread(bytes(came))
        conn.data_ready = True
        pause = struct.pack("ll", int(ARRIVE_SECONDS), 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, pause)
        super().enqueue_req(conn)

    def _drop(self, conn: Any) -> None:
        del self._arriving[conn]
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()
