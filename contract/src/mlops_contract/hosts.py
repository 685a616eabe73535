"""Which names a door answers to, so that a web page cannot reach it under a name of its own (DNS rebinding)."""

import ipaddress
import re

_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.%]+)\]|(?P<name>[^\s:/\\@\[\]]+))(?::\d{1,5})?\Z", re.ASCII)


class Hosts:
    """The names of one door: localhost, its own, those of a setting, and every IP address.

    An address is safe whatever it is: the attack needs a name, which its owner points elsewhere. `*.example.org` stands
    for every name below example.org, `*` for all.
    """

    def __init__(self, own: tuple[str, ...], setting: str) -> None:
        more = (part.strip().lower().rstrip(".") for part in setting.split(","))
        # A setting may be written as MLflow's is, with ports.
        names = {"localhost", *own, *(re.sub(r"(?<=[^:]):\d+\Z", "", part) for part in more if part)}
        self._any = "*" in names
        self._below = tuple(name[1:] for name in names if name.startswith("*."))
        self._names = frozenset(names)

    def know(self, header: str) -> bool:
        """Whether a request with this Host header is for this door; one without any is (browsers always send it)."""
        if self._any or not header:
            return True
        match = _HOST.match(header.lower())
        if match is None:
            return False
        name = (match["address"] or match["name"]).rstrip(".")
        return name in self._names or name.endswith(self._below) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
