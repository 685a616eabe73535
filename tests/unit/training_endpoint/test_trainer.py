import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import tiny_models
from training_endpoint.data.snapshot import Rows
from training_endpoint.errors import OutOfMemory, TrainingFailed
from training_endpoint.judge.evaluate import predict
from training_endpoint.learn import trainer
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.hyperparameters import Hyperparameters
from training_endpoint.learn.trainer import State, Step

GOOD, BAD = ["good", "great", "fine", "lovely"], ["bad", "awful", "poor", "dull"]
STARTS = ["the film is", "the film was", "a very very very long book is it", "a very very very long book was it"]
TEXTS = [f"{start} {word}" for start in STARTS for word in GOOD + BAD]
ROWS = Rows(TEXTS, [int(text.split()[-1] in GOOD) for text in TEXTS])
PARAMETERS = Hyperparameters(epochs=3, batch_size=8, learning_rate=3e-3, warmup=0.1, pool=2)


def new(folder: Path) -> Classifier:
    trainer.seed_all(0)
    return tiny_models.classifier(folder / "base", ["bad", "good"])


def train(
    folder: Path,
    parameters: Hyperparameters = PARAMETERS,
    classifier: Classifier | None = None,
    say: Callable[[Step], None] = lambda step: None,
) -> tuple[Classifier, State]:
    classifier = classifier or new(folder)
    device = torch.device("cpu")
    return classifier, trainer.train(
        classifier, ROWS, parameters, folder, device=device, precision="fp32", fingerprint="rows", say=say
    )


def weights(classifier: Classifier) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in classifier.model.parameters()])


def test_it_learns_and_says_where_it_is(tmp_path: Path) -> None:
    said: list[Step] = []
    classifier, state = train(tmp_path, replace(PARAMETERS, epochs=16), say=said.append)
    answers = predict(classifier, TEXTS).argmax(axis=1)
    assert (answers == ROWS.labels).mean() > 0.95
    assert np.mean(state.losses[-4:]) < state.losses[0] / 2 and len(state.losses) == 16 * 4
    last = said[-1]
    assert (last.step, last.steps, last.epoch, last.progress, last.eta_s) == (64, 64, 16.0, 1.0, 0.0)


def test_the_same_seed_gives_the_same_model_and_another_another(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    first, _ = train(tmp_path / "a")
    again, _ = train(tmp_path / "b")
    other, _ = train(tmp_path / "c", replace(PARAMETERS, seed=1))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


def test_an_interrupted_training_goes_on_exactly_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(Exception):
        pass

    def kill(step: Step) -> None:
        if step.step == 6:
            raise Killed

    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(trainer, "SAY_S", 0.0)
    whole, expected = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "cut", say=kill)

    said: list[Step] = []
    resumed, state = train(tmp_path / "cut", say=said.append)
    assert said[0].message == "resumed at step 4 of 12" and said[0].step == 5
    assert state.losses == expected.losses and state.resumed == 1
    assert torch.equal(weights(resumed), weights(whole))


def test_a_checkpoint_of_another_run_is_left_alone(tmp_path: Path) -> None:
    train(tmp_path)
    _, state = train(tmp_path, replace(PARAMETERS, learning_rate=1e-4))
    assert state.resumed == 0 and len(state.losses) == 12
    _, finished = train(tmp_path, replace(PARAMETERS, learning_rate=1e-4))
    assert finished.resumed == 1 and finished.losses == state.losses


def short_of_memory(classifier: Classifier, fits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a batch of more than `fits` texts does not fit."""
    whole = classifier.model.forward

    def forward(*, input_ids: torch.Tensor, **more: Any) -> Any:
        if len(input_ids) > fits:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return whole(input_ids=input_ids, **more)

    monkeypatch.setattr(classifier.model, "forward", forward)


def test_out_of_memory_halves_the_batch_and_gives_the_same_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    _, plain_state = train(tmp_path / "a", classifier=without_dropout(new(tmp_path / "a")))
    tight = without_dropout(new(tmp_path / "b"))
    short_of_memory(tight, 3, monkeypatch)
    said: list[Step] = []
    _, state = train(tmp_path / "b", classifier=tight, say=said.append)
    assert state.parts == 4
    assert any("computed 2 at a time" in (step.message or "") for step in said)
    assert state.losses == pytest.approx(plain_state.losses, abs=1e-4)


def without_dropout(classifier: Classifier) -> Classifier:
    for module in classifier.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for layer in classifier.model.bert.encoder.layer:
        layer.attention.self.dropout.p = 0.0
    return classifier


def test_not_even_one_text_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = new(tmp_path)
    short_of_memory(classifier, 0, monkeypatch)
    with pytest.raises(OutOfMemory, match="smaller base_model"):
        train(tmp_path, classifier=classifier)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    classifier = new(tmp_path)
    with torch.no_grad():
        classifier.model.classifier.weight.fill_(math.inf)
    with pytest.raises(TrainingFailed, match="lower learning_rate"):
        train(tmp_path, classifier=classifier)


def test_batches_hold_every_row_once_with_like_lengths_and_the_longest_first() -> None:
    lengths = np.array([5 + (number * 7) % 90 for number in range(1000)])
    parameters = Hyperparameters(batch_size=16, pool=50, epochs=2)
    cut = trainer.batches(lengths, parameters, 0)
    assert sorted(np.concatenate(cut)) == list(range(1000))
    padded = sum(len(batch) * lengths[batch].max() for batch in cut)
    assert padded / lengths.sum() < 1.05
    assert lengths.max() in lengths[cut[0]]
    plan = trainer.Plan(lengths, parameters)
    assert [list(plan.batch(step)) for step in range(plan.per_epoch)] == [list(batch) for batch in cut]
    assert [list(plan.batch(plan.per_epoch + step)) for step in range(plan.per_epoch)] != [list(batch) for batch in cut]
    assert plan.tokens(plan.steps) == 2 * lengths.sum() and plan.tokens(1) == lengths[cut[0]].sum()
    assert plan.tokens(plan.per_epoch + 1) == lengths.sum() + lengths[plan.batch(plan.per_epoch)].sum()
