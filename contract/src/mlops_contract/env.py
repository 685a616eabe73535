"""Typed reading of environment variables, for the one settings module that each service has."""

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from urllib.parse import urlsplit


class SettingError(ValueError):
    """A setting is missing or out of its range; the message names it and says what is wanted."""


@dataclass(frozen=True)
class Env:
    """A view of the environment that turns variables into values, or says which one is wrong.

    An unset and an empty variable mean the same: the default, or an error where there is none.
    """

    variables: Mapping[str, str]

    def text(self, name: str, default: str | None = None) -> str:
        """The variable as it stands; `default` None makes it mandatory."""
        value = self.variables.get(name, "").strip()
        if value:
            return value
        if default is None:
            raise SettingError(f"{name} is not set: launch.sh writes it to .env")
        return default

    def model_name(self, name: str, default: str) -> str:
        """A registered model's name, as MLflow takes it."""
        value = self.text(name, default)
        if "/" in value or ":" in value or not value.isprintable() or value in (".", ".."):
            raise SettingError(f"{name} is {value!r}: a model's name has neither / nor : in it, which MLflow refuses")
        return value

    def model_alias(self, name: str, default: str) -> str:
        """An alias of a registered model, as MLflow takes it."""
        value = self.text(name, default)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", value):
            raise SettingError(f"{name} is {value!r}: an alias is of letters, digits, - and _, at most 255 of them")
        if value.lower() == "latest" or re.fullmatch(r"[vV]\d+", value):
            raise SettingError(f"{name} is {value!r}: MLflow keeps latest, v1, v2 … for itself, choose another word")
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of `choices`."""
        value = self.text(name, default)
        if value not in choices:
            raise SettingError(f"{name} is {value!r}: it must be one of {', '.join(choices)}")
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both allowed."""
        value = self.text(name, str(default))
        try:
            number = int(value)
        except ValueError:
            raise SettingError(f"{name} is {value!r}: it must be a whole number") from None
        if not low <= number <= high:
            raise SettingError(f"{name} is {number}: it must be from {low} to {high}")
        return number

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number from `low` to `high`, both allowed."""
        value = self.text(name, str(default))
        try:
            number = float(value)
        except ValueError:
            raise SettingError(f"{name} is {value!r}: it must be a number") from None
        if not low <= number <= high:
            raise SettingError(f"{name} is {value}: it must be from {low:g} to {high:g}")
        return number


def bypass_proxies(variables: MutableMapping[str, str], *urls: str) -> None:
    """Has every HTTP client of this process and its children reach the hosts of `urls` directly."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in variables.get(name, "").split(",") if host.strip()]
        variables[name] = ",".join([*hosts, *(host for host in map(_host, urls) if host and host not in hosts)])


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
