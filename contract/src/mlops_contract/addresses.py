"""The replicas behind a name."""

import socket
from collections.abc import Iterable
from pathlib import Path


def resolve(endpoints: Iterable[str]) -> list[str]:
    """Every ip:port behind names of the form host:port, sorted; names that do not resolve have none.

    `@FILE` stands for the names in a file, which is read each time: replicas come and go, and nobody is started again.
    """
    found: set[str] = set()
    for endpoint in _names(endpoints):
        host, _, port = endpoint.strip().rpartition(":")
        try:
            entries = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)
        except (OSError, ValueError):
            continue
        found |= {f"{entry[4][0]!s}:{port}" for entry in entries}
    return sorted(found)


def split(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list, as `resolve` takes them; a file's name may have commas."""
    if text.startswith("@"):
        return (text,)
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _names(endpoints: Iterable[str]) -> Iterable[str]:
    for endpoint in endpoints:
        if not endpoint.startswith("@"):
            yield endpoint
            continue
        try:
            yield from Path(endpoint[1:]).read_text().split()
        except OSError:
            continue
