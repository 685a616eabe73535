import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from tokenizers import Tokenizer

from model_runner import CannotServe, answers
from tests import tiny_models
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.errors import TrainingFailed
from training_endpoint.judge import export, forms
from training_endpoint.judge.evaluate import predict
from training_endpoint.judge.exported import Served

TEXTS = tiny_models.TEXTS
ROWS = Rows(TEXTS, [number % 2 for number in range(40)])
LABELS = ["bad", "good"]


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_the_folder_answers_alone_what_the_model_answers(architecture: str, tmp_path: Path) -> None:
    classifier = tiny_models.classifier(tmp_path / "base", LABELS, architecture)
    served, told = export.export(classifier, ROWS, [], tmp_path / "serving", Clock())
    folder = served.folder

    # As somebody else would do it: nothing but the folder, the tokenizers package and ONNX Runtime.
    manifest = json.loads((folder / "manifest.json").read_text())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.truncation is None and tokenizer.padding is None
    tokenizer.enable_truncation(manifest["max_length"])
    form = manifest["forms"][0]
    session = onnxruntime.InferenceSession(str(folder / form["file"]), providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == manifest["inputs"]
    golden = json.loads((folder / "golden.json").read_text())
    assert len({case["text"] for case in golden["cases"]}) == len(golden["cases"]) >= 8
    assert manifest["labels"] == LABELS and form["name"] == served.precision
    trained = predict(classifier, TEXTS)
    for case in golden["cases"]:
        alone = tokenizer.encode(case["text"])
        inputs = {"input_ids": [alone.ids], "attention_mask": [alone.attention_mask]}
        (logits,) = session.run(["logits"], {name: np.array(value) for name, value in inputs.items()})
        expected = [case["scores"][form["name"]][label] for label in LABELS]
        assert expected == pytest.approx(list(np.exp(logits[0]) / np.exp(logits[0]).sum()), abs=1e-5)
        assert expected == pytest.approx(list(trained[TEXTS.index(case["text"])]), abs=0.05)
    labels, found = answers(folder, TEXTS, 2)
    assert labels == LABELS and np.array_equal(found, told)
    kept = json.loads(json.dumps({**asdict(served), "folder": ""}))
    assert replace(Served(**kept), folder=folder) == served, "a job that is interrupted here goes on with it"


def test_only_the_listed_files_are_shipped_and_their_sums_are_right(tmp_path: Path) -> None:
    classifier = tiny_models.classifier(tmp_path / "base", LABELS)
    folder = export.export(classifier, ROWS, [], tmp_path / "serving", Clock())[0].folder
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert {file.name for file in folder.iterdir()} == {*files, "manifest.json"}
    for name, expected in files.items():
        content = (folder / name).read_bytes()
        assert expected == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_a_model_that_answers_no_numbers_is_said(tmp_path: Path) -> None:
    classifier = tiny_models.classifier(tmp_path / "base", LABELS)
    with torch.no_grad():
        classifier.model.classifier.bias.fill_(float("nan"))
    with pytest.raises(TrainingFailed, match="learning_rate"):
        export.export(classifier, ROWS, [], tmp_path / "serving", Clock())


def test_a_file_that_answers_otherwise_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tiny_models.classifier(tmp_path / "other", LABELS)
    with torch.no_grad():
        other.model.classifier.bias[0] += 3
    honest = export.trace
    monkeypatch.setattr(export, "trace", lambda _, file: honest(other, file))
    classifier = tiny_models.classifier(tmp_path / "base", LABELS)
    served, _ = export.export(classifier, ROWS, [], tmp_path / "serving", Clock())
    assert served.precision == "torch" and served.difference <= served.allowed
    assert "answers otherwise" in served.reason and not list(served.folder.glob("*.onnx"))


def test_a_model_that_onnx_cannot_hold_is_served_by_pytorch_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "LARGEST", 1000)
    classifier = tiny_models.classifier(tmp_path / "base", LABELS)
    began: list[bool] = []
    served, told = export.export(
        classifier, ROWS, [], tmp_path / "serving", Clock(), evaluating=lambda: began.append(True)
    )
    assert served.precision == "torch" and began == [True] and served.latency_ms > 0
    assert served.reason.startswith("served by PyTorch, because ONNX cannot hold this model: its weights are more than")
    folder = served.folder
    assert sorted(file.name for file in folder.iterdir()) == ["golden.json", "manifest.json", "tokenizer.json"]
    with pytest.raises(CannotServe, match="no other form"):
        answers(folder, TEXTS, 2)
    classifier.model.save_pretrained(folder / "model")
    for backend in ("onnx", "auto", "torch"):
        labels, found = answers(folder, TEXTS, 2, backend)
        assert labels == LABELS and np.array_equal(found, told)
    assert np.abs(told - predict(classifier, TEXTS)).max() < 1e-5


def test_a_model_that_answers_otherwise_beside_longer_texts_is_served_as_it_answers_alone(tmp_path: Path) -> None:
    tiny_models.save("fnet", tmp_path / "base", tpu_short_seq_length=64)
    classifier = tiny_models.classifier(tmp_path / "base", LABELS, "fnet")
    with torch.no_grad():
        classifier.model.classifier.weight.mul_(100)
    assert np.abs(predict(classifier, TEXTS) - predict(classifier, TEXTS, 1)).max() > export.AGREEMENT
    served, told = export.export(classifier, ROWS, [], tmp_path / "serving", Clock())
    assert served.precision == "torch" and served.difference <= served.allowed
    assert np.abs(told - predict(classifier, TEXTS, 1)).max() < 1e-5


def test_a_form_that_cannot_be_made_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a node that the quantiser does not know")

    monkeypatch.setattr(forms, "quantise", fail)
    classifier = tiny_models.classifier(tmp_path / "base", LABELS)
    assert export.export(classifier, ROWS, [], tmp_path / "serving", Clock())[0].precision == "fp32"
