"""The folder `serving/` of a model version: an ONNX file, tokenizer.json, manifest.json, golden.json.

docs/architecture.md has the contract; the serving side needs nothing else.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from model_runner import Model, Probabilities, latency_ms, machine, scores
from model_runner.artifact import INPUTS, TOKENIZER, TORCH, Form, Manifest, write_golden
from model_runner.onnx_model import OnnxModel
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.errors import TrainingFailed
from training_endpoint.judge import forms
from training_endpoint.judge.evaluate import predict
from training_endpoint.judge.exported import Served
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.encoding import encode, encoder, pad

log = logging.getLogger(__name__)

GOLDEN_CASES = 16
GOLDEN_TOLERANCE = 0.05  # between processors
# Largest difference of a golden text's probability between PyTorch and fp32's file: they are the same function.
AGREEMENT = 0.01
# The same between the traced graph and the smaller one made of it.
SAME = 1e-4


def export(
    classifier: Classifier, test: Rows, train: Sequence[str], folder: Path, clock: Clock
) -> tuple[Served, Probabilities]:
    """Writes `folder`; with it goes what the file that is served from it answers on the `test` rows.

    `train` are further texts to compare forms with. What the forms answer is evaluation, by `clock`. Raises
    `TrainingFailed` where the model's answers are no numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    golden = _golden(test.texts)
    trained = predict(classifier, golden)
    if not np.isfinite(trained).all():
        raise TrainingFailed("The trained model's answers are no numbers: lower learning_rate and train again.")
    write_tokenizer(classifier, folder / TOKENIZER)
    to_onnx(classifier, folder / forms.FP32.file, golden)

    def run(form: Form) -> Model:
        return model_of(folder / form.file, classifier)

    difference = float(np.abs(scores(run(forms.FP32), golden, 1) - trained).max())
    with clock("evaluating"):
        choice = forms.choose(run, folder, test, train, machine.cores())
    write_answers(classifier, folder, choice.forms, golden, trained)
    served = Served(
        folder=folder,
        precision=choice.forms[0].name,
        difference=difference,
        allowed=AGREEMENT,
        latency_ms=latency_ms(choice.model, golden),
        evidence={"form": choice.forms[0].name, "trials": [asdict(trial) for trial in choice.trials]},
        reason=choice.reason,
    )
    return served, choice.answers


def model_of(file: Path, classifier: Classifier) -> Model:
    """What the serving side makes of an ONNX file of `classifier`."""
    return OnnxModel(file, file.stem, classifier.label_names, encoder(classifier.tokenizer, classifier.max_length))


def write_tokenizer(classifier: Classifier, file: Path) -> None:
    """Writes tokenizer.json, without truncation and padding."""
    fast = classifier.tokenizer.backend_tokenizer
    fast.no_truncation()
    fast.no_padding()
    fast.save(str(file))


def write_answers(
    classifier: Classifier, folder: Path, carried: Sequence[Form], golden: Sequence[str], trained: Probabilities
) -> None:
    """Writes golden.json and manifest.json, for the files in `folder`; `trained` is PyTorch's answer on `golden`."""
    answers = {form.name: scores(model_of(folder / form.file, classifier), golden, 1) for form in carried}
    labels = classifier.label_names
    write_golden(
        folder,
        golden,
        {
            name: ([dict(zip(labels, map(float, row), strict=True)) for row in rows], GOLDEN_TOLERANCE)
            for name, rows in {**answers, TORCH: trained}.items()
        },
    )
    Manifest(labels, classifier.max_length, classifier.pad_id, list(carried)).write(folder)


def to_onnx(classifier: Classifier, file: Path, texts: Sequence[str]) -> None:
    """Writes the model into `file`, as a small graph where that gives the same answers for `texts`, else as traced."""
    from training_endpoint.judge import graph  # noqa: PLC0415 - it imports onnx

    traced = file.with_name("traced.onnx")
    trace(classifier, traced)
    config = classifier.model.config
    try:
        graph.shrink(traced, getattr(config, "num_attention_heads", 0), getattr(config, "hidden_size", 0), file)
        answers = [scores(model_of(one, classifier), texts, 1) for one in (traced, file)]
        same = bool(np.abs(answers[0] - answers[1]).max() <= SAME)
    except Exception as error:  # it knows patterns, and there is no list of what it does with others
        log.warning("the traced graph could not be made smaller: %s", error)
        same = False
    if same:
        traced.unlink()
    else:
        traced.replace(file)


def trace(classifier: Classifier, file: Path) -> None:
    """Traces the model into `file`.

    The tracing exporter is the older of PyTorch's two; it takes 2 s where the newer takes 15, for the same graph.
    Segment ids are left out: for one text they are zero, which every architecture takes as the default.
    """
    import torch  # noqa: PLC0415

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = classifier.model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
            return logits

    # Two rows of unlike length, so that the padding is traced too.
    arrays = pad(
        encode(classifier.tokenizer, ["one short text", "another text that is a little longer"], 64), classifier.pad_id
    )
    example = tuple(torch.from_numpy(array).to(classifier.model.device) for array in arrays)
    axes = {0: "batch", 1: "length"}
    with warnings.catch_warnings(), torch.no_grad(), _plain_attention(classifier.model):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits().eval(),
            example,
            str(file),
            dynamo=False,
            opset_version=17,
            input_names=list(INPUTS),
            output_names=["logits"],
            dynamic_axes={**dict.fromkeys(INPUTS, axes), "logits": {0: "batch"}},
        )


@contextmanager
def _plain_attention(model: Any) -> Iterator[None]:
    """Attention spelled out: the pattern that can be made one node."""
    usual = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(usual)


def _golden(texts: Sequence[str]) -> list[str]:
    """Different texts from the shortest to the longest, the same ones for the same rows."""
    ordered = sorted(set(texts), key=lambda text: (len(text), text))
    picks = np.linspace(0, len(ordered) - 1, min(GOLDEN_CASES, len(ordered)))
    return [ordered[round(pick)] for pick in picks]
