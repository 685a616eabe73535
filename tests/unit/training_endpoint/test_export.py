import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

from tests import tiny_models
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import export
from training_endpoint.judge.evaluate import predict

TEXTS = tiny_models.TEXTS
ROWS = Rows(TEXTS, [number % 2 for number in range(40)])
LABELS = ["bad", "good"]


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_the_folder_answers_alone_what_the_model_answers(architecture: str, tmp_path: Path) -> None:
    classifier = tiny_models.classifier(tmp_path / "base", LABELS, architecture)
    reference = predict(classifier, TEXTS)
    served = export.export(classifier, ROWS, reference, tmp_path / "serving", Clock())
    folder = served.folder

    # As the serving side does it: nothing but the folder, the tokenizers package and ONNX Runtime.
    manifest = json.loads((folder / "manifest.json").read_text())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.truncation is None and tokenizer.padding is None
    tokenizer.enable_truncation(manifest["max_length"])
    tokenizer.enable_padding(pad_id=manifest["pad_token_id"])
    session = onnxruntime.InferenceSession(str(folder / manifest["model"]), providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == manifest["inputs"]
    encoded = tokenizer.encode_batch(TEXTS)
    arrays = {
        "input_ids": np.array([text.ids for text in encoded]),
        "attention_mask": np.array([text.attention_mask for text in encoded]),
    }
    (logits,) = session.run(["logits"], arrays)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(probabilities - reference).max() < 0.05
    assert manifest["labels"] == LABELS and manifest["precision"] == served.precision

    golden = json.loads((folder / "golden.json").read_text())
    assert len({case["text"] for case in golden["cases"]}) == len(golden["cases"]) >= 8
    for case in golden["cases"]:
        scores = probabilities[TEXTS.index(case["text"])]
        expected = [case["scores"][label] for label in LABELS]
        assert expected == pytest.approx(list(scores), abs=golden["tolerance"])
        assert expected == pytest.approx(list(reference[TEXTS.index(case["text"])]), abs=golden["tolerance"])
        alone = tokenizer.encode(case["text"])
        inputs = {"input_ids": [alone.ids], "attention_mask": [alone.attention_mask]}
        (logits,) = session.run(["logits"], {name: np.array(value) for name, value in inputs.items()})
        assert expected == pytest.approx(list(np.exp(logits[0]) / np.exp(logits[0]).sum()), abs=1e-5)


def test_only_the_listed_files_are_shipped_and_their_sums_are_right(tmp_path: Path) -> None:
    classifier = tiny_models.classifier(tmp_path / "base", LABELS)
    folder = export.export(classifier, ROWS, predict(classifier, TEXTS), tmp_path / "serving", Clock()).folder
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert {file.name for file in folder.iterdir()} == {*files, "manifest.json"}
    for name, expected in files.items():
        content = (folder / name).read_bytes()
        assert expected == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_fp32_is_served_where_int8_costs_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = tiny_models.classifier(tmp_path / "base", LABELS)
    reference = predict(classifier, TEXTS)
    rows = Rows(TEXTS, [int(label) for label in reference.argmax(axis=1)])

    class Worse(export.OnnxClassifier):
        def __init__(self, file: Path, *more: object, **options: int) -> None:
            super().__init__(file, *more, **options)  # type: ignore[arg-type] # passed on as they came
            self.int8 = "int8" in file.name

        def predict(self, texts: list[str]) -> export.Probabilities:  # type: ignore[override] # only lists come
            answers = super().predict(texts)
            return answers[:, ::-1] if self.int8 else answers

    monkeypatch.setattr(export, "OnnxClassifier", Worse)
    served = export.export(classifier, rows, reference, tmp_path / "serving", Clock())
    assert served.precision == "fp32"
    assert served.difference < served.allowed
    assert not (served.folder / "model.int8.onnx").exists()


def test_a_file_that_answers_otherwise_is_seen(tmp_path: Path) -> None:
    classifier = tiny_models.classifier(tmp_path / "base", LABELS)
    other = 1 - predict(classifier, TEXTS)
    other[:, 0] += 0.3
    served = export.export(classifier, ROWS, other, tmp_path / "serving", Clock())
    assert served.difference > served.allowed
