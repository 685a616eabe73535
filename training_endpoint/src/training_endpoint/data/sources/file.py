"""Files as readers see them: plain, gzipped, or inside a zip, and never larger than they may become."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from training_endpoint.errors import ImportFailed

GROWTH = 100  # ordinary text packs to a tenth
ALWAYS_ALLOWED_BYTES = 64 * 1024 * 1024
DAMAGE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class File:
    """Something that can be opened from its start as often as needed."""

    name: str
    """What people call it: its path from the dataset's folder."""
    opener: Callable[[], Any]
    size: int
    """Bytes that it has on the disk."""
    path: Path | None = None
    """Where it lies, unless it is inside another file."""

    @property
    def kind(self) -> str:
        """Its ending without .gz, in lower case, such as `.csv`."""
        return PurePosixPath(self.plain_name).suffix.lower()

    @property
    def plain_name(self) -> str:
        return self.name[: -len(".gz")] if self.packed else self.name

    @property
    def packed(self) -> bool:
        return self.name.lower().endswith(".gz")

    def open(self) -> BinaryIO:
        """A stream of its bytes, unpacked. It raises `ImportFailed` when the file is damaged or grows too much."""
        try:
            raw = self.opener()
        except DAMAGE as error:
            raise self.damaged(error) from error
        return io.BufferedReader(_Guarded(self, raw), 256 * 1024)

    def damaged(self, error: Exception) -> ImportFailed:
        """The sentence for what a library said while it read this file."""
        reason = getattr(error, "strerror", None) or str(error).strip().splitlines() or [type(error).__name__]
        return ImportFailed(f"{self.name} cannot be read ({reason if isinstance(reason, str) else reason[0]}).")


class _Guarded(io.RawIOBase):
    def __init__(self, file: File, raw: Any) -> None:
        self._file, self._raw, self._count = file, raw, 0
        self._inner = gzip.GzipFile(fileobj=raw) if file.packed else raw
        self._most = max(ALWAYS_ALLOWED_BYTES, GROWTH * file.size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data: bytes = self._inner.read(len(buffer))
        except DAMAGE as error:
            raise self._file.damaged(error) from error
        self._count += len(data)
        if self._count > self._most:
            raise ImportFailed(
                f"{self._file.name} unpacks to more than {GROWTH} times its size: unpack it yourself if that is right."
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._inner.close()
        self._raw.close()
        super().close()


def on_disk(path: Path, folder: Path | None = None) -> File:
    """A file, named from `folder` where it was found in one."""
    name = path.relative_to(folder).as_posix() if folder else path.name
    return File(printable(name), lambda: path.open("rb"), path.stat().st_size, path)


def in_zip(archive: File) -> list[File]:
    """The files inside a zip; raises `ImportFailed` when it is none."""
    if archive.path is None:
        return []  # a zip in a zip
    try:
        content = zipfile.ZipFile(archive.path)
        members = [member for member in content.infolist() if not member.is_dir()]
    except (*DAMAGE, ValueError) as error:
        raise archive.damaged(error) from error
    return [File(printable(one.filename), partial(content.open, one), one.compress_size) for one in members]


def printable(name: str) -> str:
    """`name` without what terminals, JSON and PostgreSQL choke on."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
