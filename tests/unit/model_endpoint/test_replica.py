"""A replica that fetches and loads versions made by the training side."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from mlops_contract.store import FilesLost
from mlops_contract.voucher import Voucher
from model_endpoint import replica as replicas
from model_endpoint.server import Server
from model_endpoint.slot import Loaded
from model_runner.artifact import sha256
from tests import tiny_models
from tests.unit.model_endpoint import stub
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import export

LABELS = ["bad", "good"]


def version(folder: Path) -> Voucher:
    """Registers, as it were, a small version that lies in `folder`."""
    classifier = tiny_models.classifier(folder.parent / "base", LABELS)
    texts = tiny_models.TEXTS[:8]
    export.export(classifier, Rows(texts, [0, 1] * 4), [], folder / "serving", Clock())
    classifier.model.save_pretrained(folder / "model")
    files = {str(file.relative_to(folder)): sha256(file) for file in folder.rglob("*") if file.is_file()}
    return Voucher("text-classifier", 3, "run3", "place3", files)


@pytest.mark.parametrize("backend", ["auto", "onnx"])
@pytest.mark.parametrize("fits", [True, False])
def test_what_the_form_needs_is_fetched_and_served(
    fits: bool, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fits:
        monkeypatch.setattr(export, "LARGEST", 1000)
    voucher = version(tmp_path / "version")
    asked = []

    def get(path: str, digest: str, to: Path) -> None:
        asked.append(path)
        shutil.copy(tmp_path / "version" / path, to)

    monkeypatch.setattr(replicas, "mlflow_files", lambda *_: get)
    server = Server(stub.settings(tmp_path / "cache", MODEL_BACKEND=backend, MODEL_ENDPOINTS="127.0.0.1:9"))
    assert not server.replica.prepare(voucher)
    server.replica.commit(3, 1, "somebody")
    kind = server.replica.describe()["backend"]
    assert kind.startswith("onnx ") if fits else kind == "torch float32 on cpu"
    assert any(path.startswith("model/") for path in asked) is not fits, "the weights only where they are needed"
    current = server.replica.slot.current
    assert current and np.isfinite(current.model.logits(current.model.encode(["a good film"]))).all()


class Panic(BaseException):
    """As a library's Rust raises it: no Exception."""


def test_a_panic_while_loading_does_not_end_the_joiner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(stub.settings(tmp_path, MODEL_ENDPOINTS="127.0.0.1:9"))
    server.replica.memory.write(stub.voucher(4), 1, [])
    outcomes = [Panic("index out of bounds"), FilesLost("gone for now")]

    def load(voucher: Voucher) -> Loaded:
        if outcomes:
            raise outcomes.pop(0)
        return stub.loaded(4)

    monkeypatch.setattr(server.replica, "_load", load)
    monkeypatch.setattr("model_endpoint.joiner.RETRY_SECONDS", 0.01)
    server.joiner.start()
    deadline = time.monotonic() + 20
    while server.replica.version is None and time.monotonic() < deadline:
        time.sleep(0.01)
    server.joiner.stop()
    assert server.replica.version == 4
