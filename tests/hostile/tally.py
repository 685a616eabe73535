"""What was asked and what was answered, by kind: the table at the end of the hostile tests."""

import http.client
import os
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

CASES = int(os.environ.get("HOSTILE_CASES", "10000"))
"""How many random requests are sent, all kinds together; the hand-written and described ones come on top."""
LATEST_S = 20.0


@dataclass
class Kind:
    """The answers to one kind of request."""

    statuses: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


kinds: dict[str, Kind] = defaultdict(Kind)
_lock = threading.Lock()


def note(kind: str, status: int | str, seconds: float, what: object, said: bytes = b"", times: int = 1) -> None:
    """Counts an answer; `wrong` remembers a 5xx, a traceback, silence, and what came too late."""
    with _lock:
        one = kinds[kind]
        one.statuses[str(status)] += times
        one.slowest = max(one.slowest, seconds)
        bad = not isinstance(status, int) or status >= 500 or b"Traceback" in said or b'File "' in said
        if bad or seconds > LATEST_S:
            one.wrong.append(f"{status} after {seconds:.1f} s: {str(what)[:200]} -> {said[:200]!r}")


def check(kind: str) -> None:
    """Fails with the first wrong answers of a kind."""
    assert kinds[kind].statuses, f"nothing was asked: {kind}"
    assert not kinds[kind].wrong, "\n".join([f"{len(kinds[kind].wrong)} wrong answers", *kinds[kind].wrong[:10]])


def table() -> list[str]:
    """One line for each kind."""
    lines = [f"{'kind':<42} {'cases':>6} {'slowest':>8}  answers"]
    for name, one in kinds.items():
        answers = ", ".join(f"{status}: {count}" for status, count in sorted(one.statuses.items()))
        lines.append(f"{name:<42} {sum(one.statuses.values()):>6} {one.slowest:>6.1f} s  {answers}")
    return [*lines, f"{'all':<42} {sum(sum(one.statuses.values()) for one in kinds.values()):>6}"]


class Client:
    """A connection that asks, notes, and is made anew where the other side closed it."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition("//")[2].partition(":")
        self.place = (host, int(port))
        self.connection = http.client.HTTPConnection(*self.place, timeout=LATEST_S + 5)

    def __del__(self) -> None:
        self.connection.close()

    def ask(self, kind: str, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        """The status and the answer; 0 where there was none."""
        start = time.monotonic()
        status: int | str
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            said, status = answer.read(), answer.status
        except (OSError, http.client.HTTPException) as error:
            said, status = b"", type(error).__name__
        if not isinstance(status, int) or answer.will_close:
            self.connection.close()
            self.connection = http.client.HTTPConnection(*self.place, timeout=LATEST_S + 5)
        note(kind, status, time.monotonic() - start, (method, path, headers, (body or b"")[:150]), said)
        return (status if isinstance(status, int) else 0), said
