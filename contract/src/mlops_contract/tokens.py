"""The platform's token, and the one before it: whoever has not taken the new one over yet is let in, and lets in."""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_contract.env import Env, SettingError

if TYPE_CHECKING:
    from requests import Response

UNAUTHORISED = 401


@dataclass(frozen=True)
class Tokens:
    """`before` counts until the time `until` (seconds since 1970)."""

    present: str
    before: str = ""
    until: float = 0

    @classmethod
    def read(cls, env: Env) -> "Tokens":
        """From PLATFORM_TOKEN and PLATFORM_TOKEN_BEFORE, which is `TOKEN SECONDS` or empty."""
        present = env.text("PLATFORM_TOKEN")
        before, _, end = env.text("PLATFORM_TOKEN_BEFORE", "").rpartition(" ")
        try:
            until = float(end or 0)
        except ValueError:
            raise SettingError("PLATFORM_TOKEN_BEFORE is not of the form TOKEN SECONDS: launch.sh sets it") from None
        return cls(present, before, until)

    @property
    def valid(self) -> list[str]:
        """Those that are accepted now, the present one first."""
        return [self.present, *([self.before] if self.before and time.time() < self.until else [])]

    def accept(self, header: str) -> bool:
        """Whether a request with this Authorization header is let in."""
        given = header.encode()
        return any(hmac.compare_digest(given, f"Bearer {token}".encode()) for token in self.valid)

    def send(self, call: "Callable[[dict[str, str]], Response]") -> "Response":
        """What `call` answers with these headers; asked again with the token before where the present is not known."""
        for token in self.valid:
            answer = call({"Authorization": f"Bearer {token}"})
            if answer.status_code != UNAUTHORISED:
                break
        return answer
