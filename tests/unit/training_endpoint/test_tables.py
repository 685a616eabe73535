"""Tables of embeddings that the ONNX file reads from the safetensors beside it: the same answers, and half the room."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from model_runner import answers, load, scores
from model_runner.artifact import Manifest
from model_runner.errors import CannotServe
from tests import tiny_models
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import export, tables
from training_endpoint.learn import classifier as classifiers

ROWS = Rows(tiny_models.TEXTS, [number % 2 for number in range(40)])
LABELS = ["bad", "good"]


def version(folder: Path, monkeypatch: pytest.MonkeyPatch, architecture: str = "bert") -> tuple[Path, Any]:
    """A version's folder, as training writes it, and what its file answers."""
    monkeypatch.setattr(tables, "LEAST", 100)
    made = tiny_models.classifier(folder / "base", LABELS, architecture)
    made.model.eval()
    classifiers.round_weights(made)
    weights = classifiers.save_weights(made, folder / "version/model")
    _, told = export.export(made, ROWS, [], folder / "version/serving", Clock(), weights=weights)
    return folder / "version", told


def as_served(version: Path, folder: Path) -> Path:
    """Where a replica puts the files."""
    shutil.copytree(version / "serving", folder)
    shutil.copytree(version / "model", folder / "model")
    return folder


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_the_file_has_no_table_and_answers_as_it_was_judged(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, told = version(tmp_path, monkeypatch, architecture)
    assert not (made / "serving/model").exists()
    manifest = Manifest.read(made / "serving")
    assert {form.data for form in manifest.forms} == {"model/model.safetensors"}
    for form in manifest.forms:
        graph = onnx.load(str(made / "serving" / form.file), load_external_data=False).graph
        outside = [one for one in graph.initializer if one.data_location == onnx.TensorProto.EXTERNAL]
        assert outside and all(one.data_type == onnx.TensorProto.FLOAT16 for one in outside)
    labels, found = answers(as_served(made, tmp_path / "replica"), tiny_models.TEXTS, 2)
    assert labels == LABELS and np.array_equal(found, told)


def test_weights_of_sixteen_bits_are_the_same_numbers(tmp_path: Path) -> None:
    made = tiny_models.classifier(tmp_path / "base", LABELS)
    made.model.classifier.weight.data[0, 0] = 1e6  # more than 16 bits hold: the tensor stays as it is
    made.model.classifier.weight.data[0, 1] = 1 / 3
    classifiers.round_weights(made)
    classifiers.save_weights(made, tmp_path / "version/model")
    made.tokenizer.save_pretrained(tmp_path / "version/components/tokenizer")
    again = classifiers.reload(tmp_path / "version", 64)
    for name, tensor in made.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name
    assert float(again.model.classifier.weight[0, 1].detach()) == np.float32(1 / 3)


def test_pytorch_serves_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, told = version(tmp_path, monkeypatch)
    served = load(as_served(made, tmp_path / "replica"), "torch")
    assert scores(served, tiny_models.TEXTS, 1) == pytest.approx(told, abs=0.05)


def test_without_the_table_nothing_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = version(tmp_path, monkeypatch)
    with pytest.raises(CannotServe, match="ONNX Runtime cannot load"):
        load(made / "serving", "onnx")


def test_a_manifest_names_no_file_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = version(tmp_path, monkeypatch)
    file = made / "serving/manifest.json"
    file.write_text(file.read_text().replace("model/model.safetensors", "../../etc/passwd"))
    with pytest.raises(CannotServe, match="safetensors in model/"):
        Manifest.read(made / "serving")
