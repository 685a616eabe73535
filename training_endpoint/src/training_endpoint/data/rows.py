"""Texts with their labels, as many as a table has: Arrow's own layout in files that are mapped, not read.

What a text costs beside itself is 8 bytes for where it ends, in such a file too, and 4 for its label.
"""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

AT_ONCE = 8_192
"""So many texts are Python's at a time."""

Places = npt.NDArray[np.integer[Any]]


class Texts(Sequence[str]):
    """Texts that lie in a file, in the order of `places` where it is given. Slices are views."""

    def __init__(self, stored: pa.LargeStringArray, places: Places | None = None) -> None:
        self._stored = stored
        self._places = places

    def __len__(self) -> int:
        return len(self._stored) if self._places is None else len(self._places)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> "Texts": ...
    def __getitem__(self, place: int | slice) -> "str | Texts":
        if isinstance(place, slice):
            if self._places is not None:
                return Texts(self._stored, self._places[place])
            first, end, step = place.indices(len(self))
            return Texts(self._stored[first:end]) if step == 1 else self.pick(np.arange(first, end, step))
        text: str = self._stored[place if self._places is None else int(self._places[place])].as_py()
        return text

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), AT_ONCE):
            end = min(start + AT_ONCE, len(self))
            places = None if self._places is None else pa.array(self._places[start:end])
            yield from (self._stored[start:end] if places is None else self._stored.take(places)).to_pylist()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(str.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment] # as of a list

    def pick(self, places: Places) -> "Texts":
        """Those at `places`, in that order: a view."""
        return Texts(self._stored, places if self._places is None else self._places[places])


class Rows:
    """Texts and, in the same order, their labels as indexes into `Snapshot.label_names`."""

    def __init__(
        self, texts: Sequence[str], labels: npt.ArrayLike, hashes: npt.NDArray[np.uint64] | None = None
    ) -> None:
        self.texts = texts
        self.labels: npt.NDArray[np.int32] = np.asarray(labels, np.int32)
        """[rows]"""
        self.hashes = hashes
        """The beginning of each row's sha256, where it is known; `snapshot.beginnings` gives it of any rows."""

    def __len__(self) -> int:
        return len(self.texts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and np.array_equal(self.labels, other.labels) and self.texts == other.texts

    __hash__ = None  # type: ignore[assignment] # as of a list

    def pick(self, places: Places) -> "Rows":
        """Those at `places`, in that order."""
        texts = self.texts.pick(places) if isinstance(self.texts, Texts) else [self.texts[place] for place in places]
        return Rows(texts, self.labels[places], None if self.hashes is None else self.hashes[places])

    def save(self, folder: Path) -> None:
        """Writes all into `folder`, texts in their order: whoever reads them then reads one after the other."""
        folder.mkdir(parents=True, exist_ok=True)
        with TextFile(folder) as file:
            for start in range(0, len(self), AT_ONCE):
                file.add(self.texts[start : start + AT_ONCE])
        np.save(folder / "labels.npy", self.labels)
        (folder / "hashes.npy").unlink(missing_ok=True)
        if self.hashes is not None:
            np.save(folder / "hashes.npy", self.hashes)

    @classmethod
    def load(cls, folder: Path) -> "Rows":
        """What `save` wrote, mapped."""
        hashes = folder / "hashes.npy"
        return cls(
            mapped(folder),
            np.load(folder / "labels.npy", mmap_mode="r"),
            np.load(hashes, mmap_mode="r") if hashes.exists() else None,
        )


TEXTS, ENDS = "texts", "ends"


class TextFile:
    """Writes texts into `folder` as they come; `mapped` gives them back."""

    def __init__(self, folder: Path) -> None:
        self._stack = contextlib.ExitStack()
        self._texts, self._ends = (self._stack.enter_context((folder / name).open("wb")) for name in (TEXTS, ENDS))
        self._end = 0
        self._ends.write(np.zeros(1, np.int64).tobytes())

    def __enter__(self) -> "TextFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, texts: Iterable[str]) -> None:
        """Appends `texts`, which must not be null."""
        array = pa.array(texts, pa.large_string())
        _, ends, content = array.buffers()
        # A buffer may be longer than what is in it.
        places = np.frombuffer(ends, np.int64, len(array) + 1)
        if content is not None:
            self._texts.write(memoryview(content)[: places[-1]])
        self._ends.write((places[1:] + self._end).tobytes())
        self._end += int(places[-1])


def mapped(folder: Path) -> Texts:
    """The texts that a `TextFile` wrote into `folder`; they stay readable when the files are removed."""
    size = (folder / ENDS).stat().st_size // 8 - 1
    content = _buffer(folder / TEXTS) if (folder / TEXTS).stat().st_size else pa.py_buffer(b"")
    return Texts(pa.LargeStringArray.from_buffers(size, _buffer(folder / ENDS), content))


def _buffer(file: Path) -> pa.Buffer:
    with pa.memory_map(str(file)) as opened:
        return opened.read_buffer()


@contextlib.contextmanager
def scratch(folder: Path | None) -> Iterator[Path]:
    """A folder below `folder`, or where temporary ones lie, that is gone afterwards."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="reading-") as name:
        yield Path(name)
