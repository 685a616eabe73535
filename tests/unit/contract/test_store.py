"""The store of files on disk, with a source that is a folder."""

import errno
import hashlib
import shutil
from pathlib import Path

import pytest

from mlops_contract.store import FilesLost, SourceAway, Store, StoreUnavailable
from mlops_contract.voucher import BadVoucher, Voucher

FILES = {
    "serving/manifest.json": b"{}",
    "serving/model.onnx": b"weights",
    "model/config.json": b"{}",
    "model/model.safetensors": b"more weights",
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


VOUCHER = Voucher("text-classifier", 1, "run1", "1/models/m-1/artifacts", {k: sha256(v) for k, v in FILES.items()})


class Folder:
    """A source; `asked` are the files that were fetched from it."""

    def __init__(self, home: Path, files: dict[str, bytes] = FILES) -> None:
        self.home = home
        self.asked: list[str] = []
        for path, content in files.items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_bytes(content)

    def __call__(self, path: str, digest: str, to: Path) -> None:
        self.asked.append(path)
        if not (self.home / path).exists():
            raise FilesLost(f"The folder has no {path} any more.")
        shutil.copy(self.home / path, to)
        if sha256(to.read_bytes()) != digest:
            raise FilesLost(f"The folder gives {path} with another sha256 than the ledger knows.")


def away(path: str, digest: str, to: Path) -> None:
    raise SourceAway("Nobody answers.")


@pytest.fixture
def source(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "source")


def test_only_what_is_wanted_is_fetched_and_only_once(source: Folder, tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 3)
    found = store.fetch(VOUCHER, ["serving/"], [source])
    assert sorted(source.asked) == ["serving/manifest.json", "serving/model.onnx"]
    assert (found / "model.onnx").read_bytes() == b"weights"
    source.asked.clear()
    assert store.fetch(VOUCHER, ["serving/"], [source]) == found and source.asked == []
    assert store.fetch(VOUCHER, ["serving/", "model/"], [source]) == found
    assert source.asked == ["model/model.safetensors"], "the same content is not fetched under another name"
    assert (found / "model/config.json").exists() and (found / "model.onnx").exists()


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json", "model/model.safetensors"])
def test_a_damaged_file_is_fetched_again_and_said(
    source: Folder, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "store", 3)
    found = store.fetch(VOUCHER, ["serving/", "model/"], [source])
    (found / name).write_bytes(b"damaged")  # and with it the blob, which is the same file
    store.fetch(VOUCHER, ["serving/", "model/"], [source])
    assert (found / name).read_bytes() != b"damaged"
    assert "version 1 is not whole" in caplog.text
    for blob in store.blobs.iterdir():
        assert sha256(blob.read_bytes()) == blob.name


def test_what_is_wanted_later_is_no_damage(source: Folder, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path / "store", 3)
    store.fetch(VOUCHER, ["serving/"], [source])
    found = store.fetch(VOUCHER, ["serving/", "model/"], [source])
    assert "not whole" not in caplog.text
    (found / "model/model.safetensors").unlink()
    store.fetch(VOUCHER, ["serving/", "model/"], [source])
    assert (found / "model/model.safetensors").exists() and "version 1 is not whole" in caplog.text


def test_the_next_source_is_asked_where_the_first_has_lost_or_altered_a_file(tmp_path: Path) -> None:
    altered = Folder(tmp_path / "altered", {**FILES, "serving/model.onnx": b"evil"})
    store = Store(tmp_path / "store", 3)
    with pytest.raises(FilesLost, match=r"Version 1 .* another sha256"):
        store.fetch(VOUCHER, ["serving/"], [altered])
    assert not (store.versions / VOUCHER.key).exists()
    whole = Folder(tmp_path / "whole")
    found = store.fetch(VOUCHER, ["serving/"], [altered, whole])
    assert (found / "model.onnx").read_bytes() == b"weights"


def test_what_may_pass_is_told_from_what_is_lost(source: Folder, tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 3)
    (source.home / "serving/model.onnx").unlink()
    with pytest.raises(SourceAway):
        store.fetch(VOUCHER, ["serving/"], [away, source])
    with pytest.raises(FilesLost, match=r"no serving/model.onnx"):
        store.fetch(VOUCHER, ["serving/"], [source])
    with pytest.raises(FilesLost, match="has no elsewhere/"):
        store.fetch(VOUCHER, ["elsewhere/"], [source])


def test_a_full_disk_is_said_and_leaves_nothing(source: Folder, tmp_path: Path) -> None:
    def full(path: str, digest: str, to: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = Store(tmp_path / "store", 3)
    with pytest.raises(StoreUnavailable, match="No space left on device.*free some disk"):
        store.fetch(VOUCHER, ["serving/"], [full])
    assert list(store.folder.glob("new-*")) == []
    assert store.fetch(VOUCHER, ["serving/"], [source])


def test_what_a_killed_process_left_is_removed_and_old_versions_too(source: Folder, tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 2)
    (store.folder / "new-abc/version").mkdir(parents=True)
    for number in range(1, 5):
        voucher = Voucher("text-classifier", number, "run1", "root", VOUCHER.files)
        store.fetch(voucher, ["serving/"], [source])
    assert not (store.folder / "new-abc").exists()
    assert sorted(folder.name.partition("-")[0] for folder in store.versions.iterdir()) == ["3", "4"]
    assert store.blob(sha256(b"weights")) and store.blob(sha256(b"nothing")) is None


@pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a/../../b", "", "a//b", "serving/.", "a\nb"])
def test_a_voucher_cannot_name_files_elsewhere(path: str) -> None:
    with pytest.raises(BadVoucher):
        Voucher.from_dict({**VOUCHER.as_dict(), "files": {path: "0" * 64}})


@pytest.mark.parametrize("values", [None, [], {}, {**VOUCHER.as_dict(), "files": {"a": "no digest"}}, {"files": 1}])
def test_anything_else_is_no_voucher(values: object) -> None:
    with pytest.raises(BadVoucher):
        Voucher.from_dict(values)
    assert Voucher.from_dict(VOUCHER.as_dict()).key == VOUCHER.key
