"""Where datasets come from: the sample, files and folders, or the Hugging Face hub."""

import re
from dataclasses import dataclass
from pathlib import Path

from training_endpoint.data.sources import files, hub
from training_endpoint.data.sources.part import Part
from training_endpoint.errors import ImportFailed

SAMPLE = Path(__file__).parent.parent / "sample"
HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?(:[\w.-]+)?")
LONGEST_NAME = 50  # leaves room for _train within PostgreSQL's 63 bytes


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

    def open(self, token: str) -> tuple[Part, list[Part]]:
        """The training part and the candidates for the test part, the best first; none means: split the first.

        Raises `ImportFailed` or a `HubError`.
        """
        return hub.parts(self.place, token) if self.path is None else files.parts(self.path)


def find(dataset: str) -> Source:
    """The source that `dataset` names. Reads nothing; raises `ImportFailed` when it can be none."""
    if dataset == "sample":
        return Source("sample", "sample")
    path = Path(dataset).expanduser()
    if path.exists():
        path = path.resolve()
        return Source(_name(path.stem if path.is_file() else path.name), str(path))
    if not HUB_ID.fullmatch(dataset) or path.suffix.lower() in files.READERS:
        raise ImportFailed(
            f"The training endpoint sees no file or folder {dataset}: set DATASET in .env to its path and run "
            "`sh launch.sh`, or give `sample` or a hub id such as stanfordnlp/imdb."
        )
    return Source(_name(dataset.rpartition("/")[2]), dataset)


def _name(text: str) -> str:
    """Lower-case letters, digits and underscores, starting with a letter: a table's name that needs no quotes."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:LONGEST_NAME].rstrip("_")
    return name if name[:1].isalpha() else f"dataset_{name}".rstrip("_")
