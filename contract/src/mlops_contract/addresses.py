"""The replicas behind a name."""

import socket
from collections.abc import Iterable


def resolve(endpoints: Iterable[str]) -> list[str]:
    """Every ip:port behind names of the form host:port, sorted; names that do not resolve have none."""
    found: set[str] = set()
    for endpoint in endpoints:
        host, _, port = endpoint.strip().rpartition(":")
        try:
            entries = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)
        except (OSError, ValueError):
            continue
        found |= {f"{entry[4][0]!s}:{port}" for entry in entries}
    return sorted(found)
