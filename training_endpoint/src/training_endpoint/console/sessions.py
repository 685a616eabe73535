"""Who is logged in to change something: a name that people choose, behind the account's password.

Sessions are kept in memory alone: a restart of the service ends them.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from training_endpoint.console.tries import Address, Tries
from training_endpoint.errors import LoginWanted, WrongPassword, WrongToken
from training_endpoint.labelling.items import Person

COOKIE = "console_session"
LASTS_S = 12 * 3600.0
"""After a login, however busy its session is: a copied cookie does not live on by being used."""
MOST = 1_000
"""Sessions; the one that was used least lately ends for one more."""


@dataclass
class Session:
    """One login."""

    name: str
    began: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    holder: str = field(default_factory=lambda: secrets.token_urlsafe(12))

    @property
    def person(self) -> Person:
        return Person(self.name, self.holder)

    def check(self, token: object) -> None:
        """Raises `WrongToken` unless a request that changes something carries this session's token."""
        if not isinstance(token, str) or not hmac.compare_digest(token.encode(errors="replace"), self.csrf.encode()):
            raise WrongToken("Send the field csrf of GET /console/session along, from the page that is logged in.")


class Sessions:
    """All logins. Of the password a scrypt hash is kept here, of each cookie a digest."""

    def __init__(self, password: str, tries: Tries) -> None:
        self._tries = tries
        self._salt = secrets.token_bytes(16)
        self._hash: bytes | None = self._hashed(password) if password else None
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._lock = threading.Lock()
        self._one_hash = threading.Lock()  # of 16 MB, whoever asks for how many

    def log_in(self, name: str, password: str, addresses: tuple[Address, ...]) -> tuple[str, Session]:
        """The cookie's value and the session. Raises `TooManyTries` or `WrongPassword`."""
        self._tries.check(addresses)
        if self._hash is None:
            raise WrongPassword("Nobody can log in while CONSOLE_PASSWORD in .env is empty: sh launch.sh makes one.")
        with self._one_hash:
            self._tries.check(addresses)  # of those who waited here together, too
            if not hmac.compare_digest(self._hashed(password), self._hash):
                self._tries.count(addresses)
                raise WrongPassword("That is not the password: it is CONSOLE_PASSWORD in .env.")
        with self._lock:
            value = secrets.token_urlsafe(32)
            made = self._sessions[_digest(value)] = Session(name, time.monotonic())
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
            if found is None or time.monotonic() - found.began > LASTS_S:
                self._sessions.pop(key, None)
                return None
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


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode(errors="replace")).digest()
