"""The cache on disk, with a registry that is a folder."""

import errno
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from model_endpoint.cache import Cache
from model_endpoint.errors import CacheUnavailable
from model_endpoint.registry import RemoteFile, Version
from model_runner import CannotServe, load
from model_runner.onnx_model import OnnxModel
from model_runner.torch_model import TorchModel
from tests.integration.model_endpoint import models

VERSION = Version("text-classifier", 1, "run1", "place1", {"accuracy": 0.9})


class Folder:
    """The files of all versions; `asked` are those that were downloaded."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.asked: list[str] = []

    def files(self, version: Version, folder: str = "") -> list[RemoteFile]:
        found = [file for file in (self.home / folder).rglob("*") if file.is_file()]
        return [RemoteFile(str(file.relative_to(self.home)), 0) for file in found]

    def download(self, version: Version, path: str, to: Path) -> str:
        self.asked.append(path)
        shutil.copy(self.home / path, to)
        return hashlib.sha256(to.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version with both forms, as training registers it."""
    folder = tmp_path_factory.mktemp("whole")
    models.save_flavor(models.tiny(1), folder)
    return models.export(models.tiny(1), folder)


def test_only_what_serves_is_downloaded_and_only_once(whole: Path, tmp_path: Path) -> None:
    registry, cache = Folder(whole), Cache(tmp_path, 3)
    found = cache.fetch(registry, VERSION, False)  # type: ignore[arg-type] # a stand-in
    assert registry.asked and all(path.startswith("serving/") for path in registry.asked)
    assert isinstance(load(found, "auto"), OnnxModel)
    registry.asked.clear()
    assert cache.fetch(registry, VERSION, False) == found  # type: ignore[arg-type]
    assert registry.asked == []
    known = cache.find(VERSION)
    assert known and known.metrics == {"accuracy": 0.9}


def test_a_gpu_gets_what_pytorch_needs_and_answers_the_golden_texts(whole: Path, tmp_path: Path) -> None:
    registry, cache = Folder(whole), Cache(tmp_path, 3)
    cache.fetch(registry, VERSION, False)  # type: ignore[arg-type]
    found = cache.fetch(registry, VERSION, True)  # type: ignore[arg-type]
    model = load(found, "torch")
    assert isinstance(model, TorchModel) and model.kind == "torch float32 on cpu"
    assert len(model.encode(["word " * 400])[0].ids) == 256, "the manifest's limit holds here too"
    registry.asked.clear()
    cache.fetch(registry, VERSION, True)  # type: ignore[arg-type]
    assert registry.asked == []


def test_without_the_flavor_a_gpu_serves_the_onnx_file(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole / "serving", tmp_path / "version/serving")
    registry, cache = Folder(tmp_path / "version"), Cache(tmp_path / "cache", 3)
    found = cache.fetch(registry, VERSION, True)  # type: ignore[arg-type]
    monkeypatch.setattr("model_runner.torch_model.gpu", lambda: True)
    assert isinstance(load(found, "auto"), OnnxModel)
    registry.asked.clear()
    cache.fetch(registry, VERSION, True)  # type: ignore[arg-type]
    assert registry.asked == []


@pytest.mark.parametrize("name", ["model.fp32.onnx", "manifest.json", "model/config.json", "version.json"])
def test_a_damaged_file_is_downloaded_again(whole: Path, tmp_path: Path, name: str) -> None:
    registry, cache = Folder(whole), Cache(tmp_path, 3)
    found = cache.fetch(registry, VERSION, True)  # type: ignore[arg-type]
    (found / name).write_bytes(b"damaged")  # and with it the blob, which is the same file
    cache.fetch(registry, VERSION, True)  # type: ignore[arg-type]
    assert (found / name).read_bytes() != b"damaged"
    for blob in (tmp_path / "blobs").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_a_full_disk_is_said_and_leaves_nothing(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, cache = Folder(whole), Cache(tmp_path, 3)

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(registry, "download", full)
        with pytest.raises(CacheUnavailable, match="No space left on device.*free some disk"):
            cache.fetch(registry, VERSION, False)  # type: ignore[arg-type]
    assert list(tmp_path.glob("new-*")) == []
    assert load(cache.fetch(registry, VERSION, False), "onnx")  # type: ignore[arg-type]


def test_what_a_killed_replica_left_is_removed(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "new-abc/version").mkdir(parents=True)
    Cache(tmp_path, 3).fetch(Folder(whole), VERSION, False)  # type: ignore[arg-type]
    assert not (tmp_path / "new-abc").exists()


def test_a_manifest_cannot_name_files_elsewhere(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "serving", tmp_path / "version/serving")
    manifest = tmp_path / "version/serving/manifest.json"
    document = json.loads(manifest.read_text())
    document["files"]["../../evil"] = {"sha256": "0" * 64, "bytes": 1}
    manifest.write_text(json.dumps(document))
    with pytest.raises(CannotServe, match="evil"):
        Cache(tmp_path / "cache", 3).fetch(Folder(tmp_path / "version"), VERSION, False)  # type: ignore[arg-type]
