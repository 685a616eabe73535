"""Where datasets come from: the sample, files and folders, or the Hugging Face hub."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from training_endpoint.data.sources import encoding, folder, hub, objects, parquet, separated
from training_endpoint.data.sources import file as files
from training_endpoint.data.sources.file import File
from training_endpoint.data.sources.part import Part
from training_endpoint.errors import ImportFailed, ImportRefused

SAMPLE = Path(__file__).parent.parent / "sample"
HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?(:[\w.-]+)?", re.ASCII)
LONGEST_HUB_ID = 300
LONGEST_NAME = 50  # leaves room for _train within PostgreSQL's 63 bytes
READERS: dict[str, Callable[[File, str], Part]] = {
    ".csv": partial(separated.read, tabs=False),
    ".tsv": partial(separated.read, tabs=True),
    ".jsonl": objects.read,
    ".ndjson": objects.read,
    ".json": objects.read,
    ".parquet": parquet.read,
}
KINDS = ".csv, .tsv, .jsonl, .json (each also as .gz), .parquet or .zip"


@dataclass(frozen=True)
class Source:
    """A dataset as the setting names it: what it will be called, and where it lies."""

    name: str
    place: str
    """`sample`, an absolute path, or a hub id."""

    @property
    def path(self) -> Path | None:
        """The file or folder, None on the hub."""
        return SAMPLE if self.place == "sample" else Path(self.place) if self.place.startswith("/") else None

    def open(self, token: str, wanted_encoding: str = "") -> tuple[Part, list[Part]]:
        """The training part and the candidates for the test part, the best first; none means: split the first.

        `wanted_encoding` is that of the text files, '' to find it. Raises `ImportFailed` or a `HubError`.
        """
        if wanted_encoding:
            encoding.known(wanted_encoding)
        if self.path is None:
            return hub.parts(self.place, token)
        train, tests = _parts(self.path, wanted_encoding)
        return replace(train, notes=() if self.place == "sample" else train.notes), tests


def find(dataset: str, within: str | None = None) -> Source:
    """The source that `dataset` names; reads nothing. Raises `ImportFailed` when it can be none.

    `within`: what the setting DATASET names; any other place on the disk is then refused with `ImportRefused`.
    """
    if dataset == "sample":
        return Source("sample", "sample")
    path = _existing(dataset)
    if within is not None and dataset != within and (path or _looks_like_path(dataset)):
        home = _existing(within) if within != "sample" else None
        if home is None or path is None or not path.is_relative_to(home):
            raise ImportRefused(
                f"{files.printable(dataset[:200])} is not in what DATASET names: set DATASET in .env to its path and "
                "run `sh launch.sh`, or give `sample` or a hub id such as stanfordnlp/imdb."
            )
    if path:
        if files.printable(str(path)) != str(path):
            raise ImportFailed(f"{files.printable(str(path))}: rename it, its name holds what is no printable text.")
        if not (path.is_file() or path.is_dir()):
            raise ImportFailed(f"{path} is neither a file nor a folder.")
        bare = re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)
        return Source(_name(Path(bare).stem if path.is_file() else path.name), str(path))
    if not HUB_ID.fullmatch(dataset) or len(dataset) > LONGEST_HUB_ID or _looks_like_path(dataset):
        raise ImportFailed(
            f"The training endpoint sees no file or folder {files.printable(dataset[:200])}: set DATASET in .env to "
            "its path and run `sh launch.sh`, or give `sample` or a hub id such as stanfordnlp/imdb."
        )
    return Source(_name(dataset.rpartition("/")[2]), dataset)


def _existing(dataset: str) -> Path | None:
    """What lies at a path, all links followed; None where nothing can be seen there."""
    try:
        path = Path(dataset).expanduser().resolve(strict=True)
        path.stat()
    except (OSError, RuntimeError, ValueError):  # no such user's home, loops of links, NUL
        return None
    return path


def _looks_like_path(dataset: str) -> bool:
    return dataset.startswith(("/", "~", ".")) or files.File(dataset, list, 0).kind in (*READERS, ".zip")


def _name(text: str) -> str:
    """Lower-case letters, digits and underscores, starting with a letter: a table's name that needs no quotes."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:LONGEST_NAME].rstrip("_")
    return name if name[:1].isalpha() else f"dataset_{name}".rstrip("_")


def _parts(path: Path, wanted: str) -> tuple[Part, list[Part]]:
    kinds: dict[str, folder.Reader] = {kind: partial(read, wanted=wanted) for kind in READERS}
    if path.is_dir():
        found, notes = folder.listed(path)
        if not found and notes:
            raise ImportFailed(" ".join(notes))
        train, tests = folder.parts(f"The folder {path}", found, kinds)
        return replace(train, notes=(*notes, *train.notes)), tests
    file = files.on_disk(path)
    if file.kind == ".zip":
        return folder.parts(file.name, files.in_zip(file), kinds)
    return read(file, wanted), []


def read(file: File, wanted: str = "") -> Part:
    """One file as a part; raises `ImportFailed` when it cannot be read at all."""
    reader = READERS.get(file.kind)
    if reader is None:
        raise ImportFailed(f"{file.name} is none of {KINDS}: convert it to one of them.")
    return reader(file, wanted)
