"""What is no version of ours is refused with a reason, and nothing of it is executed."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model_runner import CannotServe, load
from model_runner.artifact import Manifest
from tests import tiny_models
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.judge import export

LABELS = ["bad", "good"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("made")
    classifier = tiny_models.classifier(home / "base", LABELS)
    classifier.model.eval()
    texts = tiny_models.TEXTS[:8]
    export.export(classifier, Rows(texts, [0, 1] * 4), [], home / "version", Clock())
    classifier.model.save_pretrained(home / "version/model")
    return home / "version"


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    import shutil

    return Path(shutil.copytree(made, tmp_path / "version"))


def manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        values = json.loads((folder / "manifest.json").read_text())
        change(values)
        (folder / "manifest.json").write_text(json.dumps(values))

    return damage


def golden(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        values = json.loads((folder / "golden.json").read_text())
        change(values)
        (folder / "golden.json").write_text(json.dumps(values))

    return damage


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "no serving/manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("[" * 100_000), "damaged"),
        (manifest(lambda values: values.update(format=4)), "format is 4"),
        (manifest(lambda values: values.update(labels=["bad", "bad"])), "damaged"),
        (manifest(lambda values: values["forms"][0].update(file="../outside.onnx")), "does not list"),
        (manifest(lambda values: values["files"].update({"../outside.onnx": {"sha256": ""}})), "lie beside it"),
        (manifest(lambda values: values["forms"].clear()), "no ONNX form"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer"),
        (lambda folder: (folder / "golden.json").unlink(), "no answers of the form"),
        (golden(lambda values: values["tolerance"].clear()), "no answers of the form"),
        (golden(lambda values: values["cases"].clear()), "no cases"),
        (golden(lambda values: values["tolerance"].update(int8=float("nan"), fp32=float("nan"))), "other scores"),
        (lambda folder: next(folder.glob("*.onnx")).write_bytes(b"no graph"), "ONNX Runtime cannot load"),
    ],
)
def test_a_damaged_version_is_refused_with_a_reason(folder: Path, damage: Callable[[Path], None], said: str) -> None:
    damage(folder)
    with pytest.raises(CannotServe, match=said):
        load(folder, "onnx")


def test_versions_of_the_first_format_are_served(folder: Path) -> None:
    (form,) = Manifest.read(folder).forms
    before = json.loads((folder / "golden.json").read_text())
    cases = [{"text": case["text"], "scores": case["scores"][form.name]} for case in before["cases"]]
    (folder / "golden.json").write_text(json.dumps({"tolerance": 0.05, "cases": cases}))
    manifest(lambda values: values.update(format=1, model=form.file, precision="int8"))(folder)
    assert load(folder, "onnx").labels == LABELS


def test_pytorch_reads_no_pickle_and_runs_no_code(folder: Path, tmp_path: Path) -> None:
    seen = tmp_path / "executed"

    class Evil:
        def __reduce__(self) -> Any:
            return exec, (f"open({str(seen)!r}, 'w')",)

    config = json.loads((folder / "model/config.json").read_text())
    config |= {"auto_map": {"AutoModelForSequenceClassification": "evil.M"}, "_attn_implementation": "some/kernels"}
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    (folder / "model/config.json").write_text(json.dumps(config))
    (folder / "model/evil.py").write_text(f"open({str(seen)!r}, 'w')")
    (folder / "model/adapter_config.json").write_text('{"base_model_name_or_path": "some/model"}')
    (folder / "model/pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    assert load(folder, "torch").kind == "torch float32 on cpu", "the safetensors are all it needs"
    for weights in (folder / "model").glob("*.safetensors"):
        weights.unlink()
    torch.save({"w": Evil()}, folder / "model/pytorch_model.bin")
    with pytest.raises(CannotServe, match="no safetensors"):
        load(folder, "torch")
    assert not seen.exists()
