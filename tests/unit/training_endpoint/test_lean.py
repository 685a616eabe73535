from pathlib import Path

import numpy as np
import pytest
import torch

from tests import tiny_models
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.encoding import Tokens, encode, pad
from training_endpoint.learn.lean import lean


def new(folder: Path, architecture: str = "bert") -> Classifier:
    torch.manual_seed(0)
    return tiny_models.classifier(folder / architecture, ["bad", "good"], architecture)


def ids_of(classifier: Classifier) -> Tokens:
    return encode(classifier.tokenizer, tiny_models.TEXTS[:7], classifier.max_length)


def logits(classifier: Classifier, ids: Tokens) -> torch.Tensor:
    tokens, mask = map(torch.from_numpy, pad(ids, classifier.pad_id))
    found: torch.Tensor = classifier.model(input_ids=tokens, attention_mask=mask).logits
    return found


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_answers_and_gradients_stay_the_same(tmp_path: Path, architecture: str) -> None:
    classifier = new(tmp_path, architecture)
    model, ids = classifier.model.eval(), ids_of(classifier)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}

    usual = logits(classifier, ids)
    usual.pow(2).sum().backward()  # type: ignore[no-untyped-call]
    wanted = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad()
    with lean(model, ids):
        answers = logits(classifier, ids)
        answers.pow(2).sum().backward()  # type: ignore[no-untyped-call]
        found = {name: weight.grad for name, weight in model.named_parameters()}

    torch.testing.assert_close(answers, usual)
    words = next(name for name in wanted if name.endswith("word_embeddings.weight"))
    used = sorted({classifier.pad_id}.union(*(text.tolist() for text in ids)))
    assert len(used) < len(before[words]), "the texts use every token"
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient[used] if name == words else gradient, msg=name)
    torch.testing.assert_close(logits(classifier, ids), usual)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_tokens_that_occur_learn_and_the_others_stay(tmp_path: Path) -> None:
    classifier = new(tmp_path)
    ids = ids_of(classifier)
    whole = classifier.model.get_input_embeddings().weight
    before = whole.detach().clone()
    with lean(classifier.model, ids):
        torch.nn.init.ones_(classifier.model.get_input_embeddings().weight)
    assert classifier.model.get_input_embeddings().weight is whole
    used = torch.zeros(len(whole), dtype=torch.bool)
    used[sorted({classifier.pad_id}.union(*(text.tolist() for text in ids)))] = True
    assert (whole[used] == 1).all() and torch.equal(whole[~used], before[~used])


def test_the_model_is_as_it_was_after_an_error(tmp_path: Path) -> None:
    classifier = new(tmp_path)
    ids = ids_of(classifier)
    classifier.model.eval()
    usual = logits(classifier, ids)
    with pytest.raises(KeyError), lean(classifier.model, ids):
        raise KeyError
    torch.testing.assert_close(logits(classifier, ids), usual)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_leaves_out_its_share_and_repeats_itself(dtype: torch.dtype) -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = torch.nn.Dropout(0.3)
            self.words = torch.nn.Embedding(3, 2)
            self.config = type("Config", (), {"model_type": "other"})
            self.device = torch.device("cpu")

        def get_input_embeddings(self) -> torch.nn.Embedding:
            return self.words

    model, values = Model(), torch.ones(101, 991, dtype=dtype)
    with lean(model, Tokens(np.array([0, 1]), np.array([0, 2]))):
        torch.manual_seed(5)
        first, second = model.drop(values), model.drop(values)
        torch.manual_seed(5)
        assert torch.equal(model.drop(values), first) and not torch.equal(second, first)
        assert torch.equal(model.drop.eval()(values), values)
    assert first.dtype == dtype
    assert (first == 0).double().mean().item() == pytest.approx(0.3, abs=0.01)
    torch.testing.assert_close(first.max(), torch.tensor(1 / 0.7, dtype=dtype))
    rows, columns = (first == 0).double().mean(dim=1), (first == 0).double().mean(dim=0)
    assert rows.std().item() < 0.03 and columns.std().item() < 0.1, "what is left out follows the place"
