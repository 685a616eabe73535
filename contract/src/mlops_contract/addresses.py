"""The replicas behind a name."""

import socket
import time
from collections.abc import Iterable
from pathlib import Path

BELOW = " below "
FRESH_SECONDS = 0.1
"""So long a name's addresses are not asked for again: who has many classifiers asks for each."""

_known: dict[str, tuple[float, list[str]]] = {}


def resolve(endpoints: Iterable[str]) -> list[str]:
    """Every ip:port behind names of the form host:port, sorted; names that do not resolve have none.

    `@FILE` stands for the names in a file, which is read each time: replicas come and go, and nobody is started again.
    A path that `below` has added stays with each address.
    """
    found: set[str] = set()
    for endpoint, path in _names(endpoints):
        host, _, port = endpoint.strip().rpartition(":")
        if port.isdecimal():
            found |= {f"{address}:{port}{path}" for address in _addresses(host)}
    return sorted(found)


def split(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list, as `resolve` takes them; a file's name may have commas."""
    if text.startswith("@"):
        return (text,)
    return tuple(part.strip() for part in text.split(",") if part.strip())


def below(endpoint: str, path: str) -> str:
    """The same, of whose addresses a path is a part: ip:port/path."""
    return f"{endpoint}{BELOW}{path}"


def _addresses(host: str) -> list[str]:
    asked, addresses = _known.get(host, (0.0, []))
    if time.monotonic() - asked > FRESH_SECONDS:
        try:
            entries = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
        except (OSError, ValueError):
            entries = []
        addresses = [str(entry[4][0]) for entry in entries]
        _known[host] = time.monotonic(), addresses
    return addresses


def _names(endpoints: Iterable[str]) -> Iterable[tuple[str, str]]:
    """host:port, and the path below it."""
    for whole in endpoints:
        endpoint, _, path = whole.partition(BELOW)
        if not endpoint.startswith("@"):
            yield endpoint, path
            continue
        try:
            yield from ((name, path) for name in Path(endpoint[1:]).read_text().split())
        except OSError:
            continue
