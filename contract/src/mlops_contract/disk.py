"""How much of a disk a folder takes."""

from contextlib import suppress
from pathlib import Path


def taken(folder: Path) -> int:
    """Bytes on the disk of all that `folder` holds; a file with several names counts once."""
    sizes: dict[tuple[int, int], int] = {}
    for file in folder.rglob("*"):
        with suppress(OSError):  # it has just gone
            found = file.lstat()
            sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())
