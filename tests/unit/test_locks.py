"""The locks: every package by exact version and hash, the two builds of PyTorch of one version."""

import re
from pathlib import Path

import pytest

LOCKS = Path(__file__).parents[2] / "requirements"
FILES = [*LOCKS.glob("*.lock"), *LOCKS.glob("torch-*.txt")]


@pytest.mark.parametrize("lock", FILES, ids=lambda path: path.name)
def test_every_package_has_a_version_and_a_hash(lock: Path) -> None:
    packages = re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"^(#|--).*\n", "", lock.read_text(), flags=re.MULTILINE))
    assert packages
    assert [text.splitlines()[0] for text in packages if not re.match(r"[\w.\[\]-]+==[^#]*--hash=sha256:", text)] == []


def test_both_builds_of_pytorch_are_of_one_version() -> None:
    found = [re.search(r"^torch==([\d.]+)", (LOCKS / name).read_text(), re.MULTILINE) for name in
             ("torch-cpu.txt", "torch-cuda.txt", "torch-cuda.in")]  # fmt: skip
    assert len({match[1] for match in found if match}) == 1 and all(found)
