"""Column names as PostgreSQL can hold them, fitted once where they are read and the same everywhere after."""

import re

LONGEST_BYTES = 63
OF_THE_SYSTEM = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
UNFIT = re.compile("[\0\ud800-\udfff]")


def fit(names: list[str]) -> list[str]:
    """Each name without what PostgreSQL refuses, cut to 63 bytes, and different from all before it."""
    wanted = [one(name) or f"column_{number}" for number, name in enumerate(names, 1)]
    first = {name: number for number, name in reversed(list(enumerate(wanted)))}
    taken = set(wanted)
    fitted = []
    for number, name in enumerate(wanted):
        unique, ending = name, number + 1
        while first.get(unique) != number and unique in taken:
            unique, ending = _cut(name, f"_{ending}"), ending + 1
        taken.add(unique)
        fitted.append(unique)
    return fitted


def one(name: str) -> str:
    """A single name, fitted; '' where nothing is left of it."""
    name = UNFIT.sub("", name).strip("\ufeff \t\r\n\f\v")
    return f"{name}_" if name in OF_THE_SYSTEM else _cut(name).strip()


def _cut(name: str, ending: str = "") -> str:
    return name.encode()[: LONGEST_BYTES - len(ending)].decode(errors="ignore") + ending
