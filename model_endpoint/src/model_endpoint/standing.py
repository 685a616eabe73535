"""Whether a replica may answer: it has known, since a moment ago, that what it serves is what the fleet serves.

A process that was stopped, or cut off, does not notice, and the others may have switched without it. So the right to
answer is lent for seconds, and runs out by this machine's own clock. Who lends it:

- the release desk, which comes every second: from the moment of the answer before, so that what lay in a socket while
  this process was stopped lends nothing
- while the desk is silent, the other replicas, as long as none of them serves something newer
- while nobody answers, the replica itself: somebody must serve
"""

import threading
import time

# The desk is away when it has been silent for so long, as far as this process was awake.
SILENT_SECONDS = 2.5
BEAT_SECONDS = 0.5


class Standing:
    """The time until which the replica may answer; for ever before `watched`."""

    def __init__(self) -> None:
        self._watched = False
        self._until = 0.0
        self._silence = 0.0
        self._changed = threading.Condition()

    @property
    def good(self) -> bool:
        """Whether it may answer now."""
        return not self._watched or time.monotonic() < self._until

    @property
    def left(self) -> float:
        """Seconds until it may not, where nobody lends more."""
        return self._until - time.monotonic()

    @property
    def alone(self) -> bool:
        """Whether the desk has been silent for so long that it must be away."""
        return self._silence >= SILENT_SECONDS

    def watched(self) -> None:
        """From now on the right must be lent."""
        self._watched = True

    def beat(self, seconds: float) -> None:
        """The replica has lived on for `seconds`, at most BEAT_SECONDS of them awake."""
        self._silence += min(seconds, BEAT_SECONDS)

    def heard(self) -> None:
        """The desk has come."""
        self._silence = 0.0

    def lend(self, until: float) -> None:
        """It may answer until that time, by time.monotonic(), or longer if it might already."""
        with self._changed:
            self._until = max(self._until, until)
            self._changed.notify_all()

    def cut(self, until: float) -> float:
        """It may answer no longer than until that time; returns what was, for `lend`."""
        with self._changed:
            before, self._until = self._until, min(self._until, until)
            return before

    def wait(self, seconds: float) -> bool:
        """`good`, as soon as it is so, or after `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: self.good, seconds)
