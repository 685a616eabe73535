"""The benchmark's students: what they keep of a challenger, and that a run goes on where it was stopped."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.judging import student
from benchmarks.judging.student import Kind
from tests import tiny_models
from training_endpoint.data.rows import Rows
from training_endpoint.judge import evaluate
from training_endpoint.learn import trainer
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.hyperparameters import Hyperparameters

TEXTS = tiny_models.TEXTS


@pytest.fixture
def challenger(tmp_path: Path) -> Classifier:
    trainer.seed_all(0)
    tiny_models.save("bert", tmp_path, num_hidden_layers=4)
    made = tiny_models.classifier(tmp_path, ["negative", "positive"])
    made.model.eval()
    return made


def test_neurons_that_say_nothing_are_not_missed(challenger: Classifier) -> None:
    with torch.no_grad():
        for layer in challenger.model.base_model.encoder.layer:
            layer.output.dense.weight[:, ::2] = 0
    made, places = student.smaller(challenger, Kind("half", width=1 / 2), TEXTS)
    assert places == [0, 1, 2, 3]
    assert all(layer.intermediate.dense.weight.shape[0] == 32 for layer in made.model.base_model.encoder.layer)
    wanted = evaluate.predict(challenger, TEXTS)
    assert np.abs(evaluate.predict(made, TEXTS) - wanted).max() < 1e-5


def test_layers_are_drawn_evenly_and_the_challenger_stays_whole(challenger: Classifier) -> None:
    before = evaluate.predict(challenger, TEXTS)
    made, places = student.smaller(challenger, Kind("half", layers=1 / 2), TEXTS)
    assert places == [0, 3] and len(made.model.base_model.encoder.layer) == made.model.config.num_hidden_layers == 2
    assert np.array_equal(evaluate.predict(challenger, TEXTS), before)


def test_what_was_stopped_goes_on_to_the_same_student(
    challenger: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, told = Kind("half", layers=1 / 2), Hyperparameters(epochs=2, batch_size=8)
    rows = Rows(TEXTS, np.arange(len(TEXTS), dtype=np.int32) % 2)
    whole, _ = student.distilled(challenger, kind, rows, told, tmp_path / "whole.pt")

    def stopped(*given: Any) -> None:
        save(*given)
        if given[4].step == 4:
            raise KeyboardInterrupt

    save = trainer.save
    monkeypatch.setattr(student, "CHECKPOINT_S", 0.0)
    monkeypatch.setattr(trainer, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        student.distilled(challenger, kind, rows, told, tmp_path / "stopped.pt")
    again, _ = student.distilled(challenger, kind, rows, told, tmp_path / "stopped.pt")
    assert np.array_equal(evaluate.predict(again, TEXTS), evaluate.predict(whole, TEXTS))
