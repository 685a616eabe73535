"""Who is logged in to change something: a name that people choose, behind the account's password.

Sessions are kept in memory alone: a restart of the service ends them.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from training_endpoint.errors import LoginWanted, TooManyTries, WrongPassword, WrongToken
from training_endpoint.labelling.items import Person

COOKIE = "console_session"
IDLE_S = 12 * 3600.0
MOST = 1_000
"""Sessions; the one that was used least lately ends for one more."""
TRIES, TRIES_S = 10, 600.0
"""Wrong passwords from one address within so many seconds."""
MOST_ADDRESSES = 10_000


@dataclass
class Session:
    """One login."""

    name: str
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    holder: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    used: float = field(default_factory=time.monotonic)

    @property
    def person(self) -> Person:
        return Person(self.name, self.holder)

    def check(self, token: object) -> None:
        """Raises `WrongToken` unless a request that changes something carries this session's token."""
        if not isinstance(token, str) or not hmac.compare_digest(token.encode(errors="replace"), self.csrf.encode()):
            raise WrongToken("Send the field csrf of GET /console/session along, from the page that is logged in.")


class Sessions:
    """All logins. Of the password a scrypt hash is kept here, of each cookie a digest."""

    def __init__(self, password: str) -> None:
        self._salt = secrets.token_bytes(16)
        self._hash: bytes | None = self._hashed(password) if password else None
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()
        self._one_hash = threading.Lock()  # of 16 MB, whoever asks for how many

    def log_in(self, name: str, password: str, addresses: tuple[tuple[str, int], ...]) -> tuple[str, Session]:
        """The cookie's value and the session; `addresses`: for whom wrong passwords are counted, with how many are let.

        Raises `TooManyTries` or `WrongPassword`.
        """
        with self._lock:
            for address, most in addresses:
                self._may_try(address, most)
        if self._hash is None:
            raise WrongPassword("Nobody can log in while CONSOLE_PASSWORD in .env is empty: sh launch.sh makes one.")
        with self._one_hash:
            right = hmac.compare_digest(self._hashed(password), self._hash)
        with self._lock:
            if not right:
                for address, _ in addresses:
                    self._count(address)
                raise WrongPassword("That is not the password: it is CONSOLE_PASSWORD in .env.")
            value = secrets.token_urlsafe(32)
            made = self._sessions[_digest(value)] = Session(name)
            while len(self._sessions) > MOST:
                self._sessions.popitem(last=False)
        return value, made

    def find(self, value: str | None) -> Session | None:
        """The session of a cookie, if it has not ended."""
        if not value:
            return None
        with self._lock:
            key = _digest(value)
            found = self._sessions.get(key)
            if found is None or time.monotonic() - found.used > IDLE_S:
                self._sessions.pop(key, None)
                return None
            found.used = time.monotonic()
            self._sessions.move_to_end(key)
            return found

    def get(self, value: str | None) -> Session:
        """As `find`; raises `LoginWanted`."""
        found = self.find(value)
        if found is None:
            raise LoginWanted("Log in first, at /console/label.")
        return found

    def end(self, value: str | None) -> None:
        """Logs out."""
        with self._lock:
            self._sessions.pop(_digest(value or ""), None)

    def _hashed(self, password: str) -> bytes:
        return hashlib.scrypt(password.encode(errors="replace"), salt=self._salt, n=2**14, r=8, p=1)

    def _may_try(self, address: str, most: int) -> None:
        wrong = self._wrong.get(address, deque())
        while wrong and time.monotonic() - wrong[0] > TRIES_S:
            wrong.popleft()
        if len(wrong) >= most:
            minutes = max(1, round((TRIES_S - (time.monotonic() - wrong[0])) / 60))
            raise TooManyTries(f"Too many wrong passwords came from your address: try again in {minutes} minutes.")

    def _count(self, address: str) -> None:
        self._wrong.setdefault(address, deque()).append(time.monotonic())
        self._wrong.move_to_end(address)
        while len(self._wrong) > MOST_ADDRESSES:
            self._wrong.popitem(last=False)


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode(errors="replace")).digest()
