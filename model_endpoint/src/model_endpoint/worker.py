"""Gunicorn's worker with threads, whose threads stay with a connection on which requests follow each other."""

import ctypes
import select
import socket
import struct
import threading
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped] # it has no types

# Longer than a busy proxy takes to send the next request, short enough for a prompt end.
STAY_SECONDS = 0.2
# At the end a connection is not closed while a proxy may just be sending a request on it: the answer to that one says
# that it was the last.
LINGER_SECONDS = 2
# Linux's option for what a socket hears, and one instruction for it: nothing (BPF_RET | BPF_K, 0 bytes).
SO_ATTACH_FILTER, NOTHING = 26, struct.pack("HBBI", 6, 0, 0, 0)


class Worker(ThreadWorker):  # type: ignore[misc] # as above
    """Saves each request of a busy connection the way through the main thread's poller and back to a thread.

    At most half of the threads stay; the others are free for whoever connects.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._stays = threading.Semaphore(self.cfg.threads // 2)

    def load_wsgi(self) -> None:
        """As gunicorn's, then opens the door, which gunicorn would have opened first: who comes too early, or when the
        worker has died, is turned away at once and asks another replica."""
        super().load_wsgi()
        host, port = self.app.address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=self.cfg.backlog)
        # As gunicorn's, and all that it accepts: else an answer's second part waits 40 ms for the receipt of the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sockets = [listener]

    def set_accept_enabled(self, enabled: bool) -> None:
        """As gunicorn's; at the end the door is shut at once, so that no proxy sends a request that nobody answers."""
        if not enabled and not self.alive:
            for listener in self.sockets:
                _hear_nobody(listener)
                waiting = select.poll()
                waiting.register(listener, select.POLLIN)
                while waiting.poll(0):
                    self.accept(listener)
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                listener.close()

    def is_parent_alive(self) -> bool:
        """As gunicorn's; without its parent it ends as it does on SIGTERM, so that whoever comes next finds the port
        free, however long others keep their connections to this one."""
        here = bool(super().is_parent_alive())
        if not here:
            self.alive = False
        return here

    def handle(self, conn: Any) -> Any:
        """Answers the connection's request, and those that soon come after it; what gunicorn's method returns."""
        kept = super().handle(conn)
        while kept is True:
            lingers = not self.alive
            if not lingers and not self._stays.acquire(blocking=False):
                break
            try:
                next_one = select.poll()
                next_one.register(conn.sock, select.POLLIN)
                came = next_one.poll(1000 * (LINGER_SECONDS if lingers else STAY_SECONDS))
            finally:
                if not lingers:
                    self._stays.release()
            if came:
                kept = super().handle(conn)
            elif lingers or self.alive:
                break
        return kept


def _hear_nobody(listener: socket.socket) -> None:
    """Whoever wants to connect from now on hears nothing, and soon asks another replica. Else one who comes after the
    last was accepted, and before the door is shut, is cut off with the request that he has sent.
    """
    program = ctypes.create_string_buffer(NOTHING)
    with suppress(OSError):  # where the kernel knows no filters
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
