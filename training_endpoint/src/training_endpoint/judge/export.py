"""The folder `serving/` of a model version: an ONNX file, tokenizer.json, manifest.json, golden.json.

A model that ONNX cannot hold has no ONNX file: PyTorch serves it from its safetensors, in `model/` beside `serving/`.
docs/architecture.md has the contract; the serving side needs nothing else.
"""

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from model_runner import Model, Probabilities, latency_ms, load, machine, scores
from model_runner.artifact import INPUTS, TOKENIZER, TORCH, WEIGHTS, Form, Manifest, write_golden
from model_runner.onnx_model import OnnxModel
from model_runner.torch_model import TorchModel
from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.errors import TrainingFailed
from training_endpoint.judge import forms, tables
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
LARGEST = 2**31
"""Bytes of weights that are too many: an ONNX file is one message of protobuf."""


class CannotHold(Exception):
    """ONNX cannot hold a model: the words say why, for people."""


def export(
    classifier: Classifier,
    test: Rows,
    train: Sequence[str],
    folder: Path,
    clock: Clock,
    without_onnx: str = "",
    evaluating: Callable[[], object] = lambda: None,
    weights: Path | None = None,
) -> tuple[Served, Probabilities]:
    """Writes `folder`; with it goes what is served of it answers on the `test` rows.

    `train` are further texts to compare forms with; `without_onnx` says why ONNX is not tried. What the forms answer
    is evaluation, by `clock`; `evaluating` is called when it begins. Tables of embeddings that the folder `weights`,
    beside `folder`, has in 16 bits are not written again. Raises `TrainingFailed` where the model's answers
    are no numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    golden = golden_texts(test.texts)
    trained = predict(classifier, golden, 1)  # as it is served: some answer otherwise beside longer texts
    if not np.isfinite(trained).all():
        raise TrainingFailed("The trained model's answers are no numbers: lower learning_rate and train again.")
    write_tokenizer(classifier, folder / TOKENIZER)
    try:
        if without_onnx:
            raise CannotHold(without_onnx)
        difference = faithful(classifier, folder / forms.FP32.file, golden, trained, AGREEMENT, to_onnx)
    except CannotHold as why:
        evaluating()
        with clock("evaluating"):
            return _with_torch(classifier, test, folder, golden, trained, str(why))

    data: dict[str, str] = {}

    def run(form: Form) -> Model:
        if weights is not None:
            data[form.file] = tables.share(folder / form.file, folder / weights.name)
        return model_of(folder / form.file, classifier)

    evaluating()
    with _beside(folder, weights), clock("evaluating"):
        choice = forms.choose(run, folder, test, train, machine.cores())
        carried = [replace(form, data=data.get(form.file, "")) for form in choice.forms]
        write_answers(classifier, folder, carried, golden, trained, choice.models)
    served = Served(
        folder=folder,
        precision=choice.forms[0].name,
        difference=difference,
        allowed=AGREEMENT,
        latency_ms=latency_ms(choice.models[choice.forms[0].name], golden),
        evidence={"form": choice.forms[0].name, "trials": [asdict(trial) for trial in choice.trials]},
        reason=choice.reason,
    )
    return served, choice.answers


def answers_to(texts: Sequence[str], folder: Path, weights: Path) -> Probabilities:
    """What is served of the exported `folder` answers, whose weights lie in the folder `weights`."""
    with TemporaryDirectory(dir=folder.parent.parent) as name:  # as a replica has it
        laid = Path(name) / "serving"
        shutil.copytree(folder, laid)
        shutil.copytree(weights, laid / weights.name)
        return scores(load(laid, "auto"), texts, machine.cores())


@contextmanager
def _beside(folder: Path, weights: Path | None) -> Iterator[None]:
    """Has `weights` below `folder` meanwhile, as it lies where a version is served."""
    if weights is None:
        yield
        return
    place = folder / weights.name
    shutil.rmtree(place, ignore_errors=True)
    weights.rename(place)  # a link would not do: onnx takes it for an attack
    try:
        yield
    finally:
        place.rename(weights)


def fits(classifier: Classifier) -> bool:
    """Whether an ONNX file can have so many weights."""
    return bool(sum(one.numel() * one.element_size() for one in classifier.model.parameters()) < LARGEST)


def faithful(
    classifier: Classifier,
    file: Path,
    texts: Sequence[str],
    wanted: Probabilities,
    allowed: float,
    write: Callable[[Classifier, Path, Sequence[str], Probabilities], Probabilities | None],
) -> float:
    """Has `write` write `file`; the largest difference of its answers for `texts`, which `write` gives where it knows
    them, from those `wanted`.

    Raises `CannotHold`, and leaves no file, where it cannot be written or run, or differs by more than `allowed`.
    """
    try:
        if not fits(classifier):
            raise CannotHold(f"its weights are more than the {LARGEST / 1e9:.1f} GB that a file of ONNX holds")
        why = "PyTorch cannot export it"
        try:
            answers = write(classifier, file, texts, wanted)
            why = "ONNX Runtime cannot run what is exported of it"
            answers = scores(model_of(file, classifier), texts, machine.cores()) if answers is None else answers
            difference = float(np.abs(answers - wanted).max())
        except MemoryError:
            raise
        except Exception as error:  # there is no list of what the two raise
            log.warning("%s: %s", why, first_words(error))
            raise CannotHold(why) from error
        if not difference <= allowed:  # nor where it is no number
            raise CannotHold(f"what is exported of it answers otherwise, by {difference:.3f} on the golden texts")
    except CannotHold:
        for leftover in [*file.parent.glob("*.onnx"), *file.parent.glob("onnx__*")]:
            leftover.unlink()
        raise
    return difference


def run_by_torch(classifier: Classifier, folder: Path) -> TorchModel:
    """What the serving side makes of `classifier`'s safetensors, which are written into `folder`."""
    classifier.model.save_pretrained(folder / WEIGHTS.file)
    manifest = Manifest(classifier.label_names, classifier.max_length, classifier.pad_id, [WEIGHTS])
    return TorchModel(folder, manifest, encoder(classifier.tokenizer, classifier.max_length))


def first_words(error: BaseException) -> str:
    """What a library says, as far as it belongs into a sentence."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line[:150].rstrip('.')}" if line else type(error).__name__


def _with_torch(
    classifier: Classifier, test: Rows, folder: Path, golden: Sequence[str], trained: Probabilities, why: str
) -> tuple[Served, Probabilities]:
    """As `export`, without any ONNX file."""
    with TemporaryDirectory(dir=folder.parent) as name:
        model = run_by_torch(classifier, Path(name))
        answers = scores(model, test.texts, machine.cores())
        on_golden = scores(model, golden, 1)
        latency = latency_ms(model, golden)
    _write(classifier, folder, [WEIGHTS], golden, {TORCH: on_golden})
    reason = f"served by PyTorch, because ONNX cannot hold this model: {why}"
    served = Served(
        folder=folder,
        precision=TORCH,
        difference=float(np.abs(on_golden - trained).max()),
        allowed=AGREEMENT,
        latency_ms=latency,
        evidence={"form": TORCH, "trials": [], "without_onnx": why},
        reason=reason,
    )
    return served, answers


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
    classifier: Classifier,
    folder: Path,
    carried: Sequence[Form],
    golden: Sequence[str],
    trained: Probabilities,
    models: Mapping[str, Model],
) -> None:
    """Writes golden.json and manifest.json, for the files in `folder`; `trained` is PyTorch's answer on `golden`.

    `models` are what runs the forms `carried`, by their names.
    """
    answers = {form.name: scores(models[form.name], golden, 1) for form in carried}
    _write(classifier, folder, carried, golden, {**answers, TORCH: trained})


def _write(
    classifier: Classifier,
    folder: Path,
    carried: Sequence[Form],
    golden: Sequence[str],
    answers: dict[str, Probabilities],
) -> None:
    labels = classifier.label_names
    write_golden(
        folder,
        golden,
        {
            name: ([dict(zip(labels, map(float, row), strict=True)) for row in rows], GOLDEN_TOLERANCE)
            for name, rows in answers.items()
        },
    )
    Manifest(labels, classifier.max_length, classifier.pad_id, list(carried)).write(folder)


def to_onnx(
    classifier: Classifier, file: Path, texts: Sequence[str], wanted: Probabilities | None = None
) -> Probabilities | None:
    """Writes the model into `file`, as a small graph where that answers `texts` as PyTorch does, which is `wanted`, or
    as the traced one; else as traced. Returns what the small graph answers, if it is that one."""
    from training_endpoint.judge import graph  # noqa: PLC0415 - it imports onnx

    traced = file.with_name("traced.onnx")
    trace(classifier, traced)
    config = classifier.model.config

    def answers(of: Path) -> Probabilities:
        return scores(model_of(of, classifier), texts, machine.cores())

    def same(small: Probabilities, others: Probabilities) -> bool:
        return bool(np.abs(small - others).max() <= SAME)

    try:
        graph.shrink(traced, getattr(config, "num_attention_heads", 0), getattr(config, "hidden_size", 0), file)
        small = answers(file)
        if (wanted is not None and same(small, wanted)) or same(small, answers(traced)):
            traced.unlink()
            return small
    except Exception as error:  # it knows patterns, and there is no list of what it does with others
        log.warning("the traced graph could not be made smaller: %s", error)
    traced.replace(file)
    return None


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


def golden_texts(texts: Sequence[str]) -> list[str]:
    """Different texts from the shortest to the longest, the same ones for the same rows."""
    ordered = sorted(set(texts), key=lambda text: (len(text), text))
    picks = np.linspace(0, len(ordered) - 1, min(GOLDEN_CASES, len(ordered)))
    return [ordered[round(pick)] for pick in picks]
