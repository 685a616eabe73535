from pathlib import Path

import pytest
import torch

from tests import tiny_models
from training_endpoint.errors import UnusableBaseModel
from training_endpoint.judge import export, trial

LABELS = ["bad", "good"]


def looked_at(folder: Path, architecture: str, **others: object) -> str:
    tiny_models.save(architecture, folder / "base", **others)
    classifier = tiny_models.classifier(folder / "base", LABELS, architecture)
    before = torch.random.get_rng_state()
    said = trial.trial(classifier, tiny_models.TEXTS, folder)
    assert torch.equal(torch.random.get_rng_state(), before), "the training draws what it would have drawn"
    assert [entry.name for entry in folder.iterdir()] == ["base"]
    return said


@pytest.mark.parametrize("architecture", sorted(trial.PROVEN))
def test_what_is_called_proven_is(architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "PROVEN", frozenset())
    assert looked_at(tmp_path, architecture) == ""


def test_what_is_proven_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "trace", None)
    assert looked_at(tmp_path, "bert") == ""


def test_a_model_that_onnx_cannot_hold_is_known_before_the_first_step(tmp_path: Path) -> None:
    assert looked_at(tmp_path, "fnet", tpu_short_seq_length=64) == "PyTorch cannot export it"


def test_so_is_one_of_which_only_the_file_fails(tmp_path: Path) -> None:
    others = {"attention_window": [8], "num_hidden_layers": 1}
    assert looked_at(tmp_path, "longformer", **others) == "ONNX Runtime cannot run what is exported of it"


def test_so_is_one_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LARGEST", 1000)
    assert "holds" in looked_at(tmp_path, "bert")


def test_a_model_that_nothing_can_serve_is_refused_in_a_sentence(tmp_path: Path) -> None:
    # It looks for one end of each text, which this tokenizer does not write.
    ends = {"eos_token_id": 1, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    with pytest.raises(UnusableBaseModel, match=r"a bart.*choose another base_model\.") as refused:
        looked_at(tmp_path, "bart", **ends, **heads)
    assert "\n" not in refused.value.message and len(refused.value.message) < 300
