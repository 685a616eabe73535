"""The replicas behind a name."""

import socket
from collections.abc import Iterable


def resolve(endpoints: Iterable[str]) -> list[str]:
    """Every ip:port behind names of the form host:port, sorted; names that do not resolve have none.

    A path after the port stays with each address.
    """
    found: set[str] = set()
    for endpoint in endpoints:
        place, slash, path = endpoint.strip().partition("/")
        host, _, port = place.rpartition(":")
        try:
            entries = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)
        except (OSError, ValueError):
            continue
        found |= {f"{entry[4][0]!s}:{port}{slash}{path}" for entry in entries}
    return sorted(found)
