"""Who may look: under which names the console answers, and who must log in, there and for all else that is read."""

import hmac
import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import request
from werkzeug.datastructures import Headers

from mlops_contract.hosts import Hosts
from mlops_contract.web import NotAuthorised, OwnNames
from training_endpoint.console.tries import Tries, addresses
from training_endpoint.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/console"
NAMES = ("training-endpoint",)
USER = "admin"
OTHER_PROXIES = ("Forwarded", "X-Forwarded-Host", "X-Real-IP", "Via")
"""Headers that nginx does not let through."""
OPEN = ("/health", "/openapi.json")


class Names:
    """Around the application: the console goes by the names of the public door too, everything else does not."""

    def __init__(self, application: "WSGIApplication", settings: Settings) -> None:
        own, more = settings.extra_hosts, f"{settings.extra_hosts},{settings.door_hosts}"
        self.console = OwnNames(application, Hosts(NAMES, more), "NGINX_EXTRA_HOSTS")
        self.others = OwnNames(application, Hosts(NAMES, own), "TRAINING_EXTRA_HOSTS")

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        door = self.console if path == PATH or path.startswith(f"{PATH}/") else self.others
        return door(environ, start_response)


def log_in(settings: Settings, tries: Tries) -> None:
    """Raises `NotAuthorised` or `TooManyTries` unless the current request may look.

    No header lets anybody in that would have to log in without it: each can only ask for more.
    """
    if not login_wanted(settings, request.host, request.headers):
        return
    if not _has_account(settings, tries):
        raise NotAuthorised(f"Log in as {USER}, with CONSOLE_PASSWORD from .env.")


def let_read(settings: Settings, tries: Tries) -> None:
    """For all that is read beside the console: where this service's own door is open to others it takes the account, or
    the platform's token. Raises `NotAuthorised` or `TooManyTries`."""
    public = not _is_loopback(settings.door_addresses[1])
    token = settings.platform_token.accept(request.headers.get("Authorization", ""))
    if public and request.path not in OPEN and not token and not _has_account(settings, tries):
        raise NotAuthorised(f"Log in as {USER} with CONSOLE_PASSWORD, or send PLATFORM_TOKEN as a Bearer token.")


def _has_account(settings: Settings, tries: Tries) -> bool:
    given = request.authorization
    if given is None or given.type != "basic":
        return False
    tries.check(addresses())
    right = (
        bool(settings.console_password)
        and hmac.compare_digest((given.username or "").encode(), USER.encode())
        and hmac.compare_digest((given.password or "").encode(), settings.console_password.encode())
    )
    if not right:
        tries.count(addresses())
    return right


def login_wanted(settings: Settings, host: str, headers: Headers) -> bool:
    """False on this machine alone: doors on loopback addresses, asked by such a name, with no proxy but our nginx."""
    doors = all(_is_loopback(address) for address in settings.door_addresses)
    proxied = "," in headers.get("X-Forwarded-For", "") or any(name in headers for name in OTHER_PROXIES)
    return not doors or not _is_loopback(host) or proxied


def _is_loopback(host: str) -> bool:
    """Of an address, or a Host header with or without port."""
    for name in (host, _name_of(host)):
        with suppress(ValueError):
            return ipaddress.ip_address(name).is_loopback
    return _name_of(host) == "localhost"


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:  # brackets around something else than an address
        return ""
