"""Column names as PostgreSQL can hold them, fitted once where they are read and the same everywhere after."""

import re
import unicodedata

LONGEST_BYTES = 63
OF_THE_SYSTEM = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
UNFIT = re.compile("[\0\ud800-\udfff]")
EDGES = " \t\r\n\f\v\x85\xa0\xad\u2007\u200b\u200c\u200d\u200e\u200f\u202f\u2060\u3000\ufeff"
"""What nobody sees at the ends of a name or a label: blanks, and characters without width."""


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
    name = UNFIT.sub("", name).strip(EDGES)
    return f"{name}_" if name in OF_THE_SYSTEM else _cut(name).strip(EDGES)


def same(name: str) -> str:
    """What two names have in common that people take for one: capitals, and how accents are written, do not count."""
    return unicodedata.normalize("NFKC", one(name)).casefold()


def same_label(label: str) -> str:
    """As `same`, of labels, which may be longer than a name; nor does it count how many blanks are within."""
    return " ".join(unicodedata.normalize("NFKC", label.strip(EDGES)).casefold().split())


def _cut(name: str, ending: str = "") -> str:
    return name.encode()[: LONGEST_BYTES - len(ending)].decode(errors="ignore") + ending
