"""The folder `serving/` of a model version: an ONNX file, tokenizer.json, manifest.json, golden.json.

docs/architecture.md has the contract; the serving side needs nothing else.
"""

import hashlib
import json
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training_endpoint.clock import Clock
from training_endpoint.data.snapshot import Rows
from training_endpoint.learn import device
from training_endpoint.learn.classifier import Classifier
from training_endpoint.learn.encoding import by_length, encode, pad, softmax

log = logging.getLogger(__name__)

INPUTS = ("input_ids", "attention_mask")
GOLDEN_CASES = 16
GOLDEN_TOLERANCE = 0.05  # between processors
# Accuracy that int8 may cost, measured on at most this many test rows.
INT8_MAX_LOSS = 0.005
INT8_ROWS = 2000
# Largest difference of a golden text's probability between PyTorch and the file that is served.
AGREEMENT = {"int8": 0.15, "fp32": 0.01}
# The same between the traced graph and the smaller one made of it: they are the same function.
SAME = 1e-4

Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Served:
    """What was exported, and how it compares with the PyTorch model on the same rows."""

    folder: Path
    precision: str
    difference: float
    """Largest difference of a probability on the golden texts; it must stay below `allowed`."""
    allowed: float
    latency_ms: float
    """95th percentile of one golden text a call, one thread."""


class OnnxClassifier:
    """An ONNX file with its tokenizer, run as the serving side runs it: one thread an inference, one for each core."""

    def __init__(self, file: Path, classifier: Classifier) -> None:
        import onnxruntime  # noqa: PLC0415 - only where it is used

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.classifier = classifier

    def predict(self, texts: Sequence[str]) -> Probabilities:
        """Probabilities [texts, labels]."""
        ids = self._encode(texts)
        logits = np.empty((len(ids), len(self.classifier.label_names)), np.float32)

        def answer(batch: list[int]) -> None:
            logits[batch] = self._logits([ids[index] for index in batch])

        with ThreadPoolExecutor(device.cores()) as pool:
            list(pool.map(answer, by_length(ids, 8)))
        return softmax(logits)

    def latency_ms(self, texts: Sequence[str]) -> float:
        """95th percentile of the time of one text a call."""
        times = []
        for text in texts:
            start = time.perf_counter()
            self._logits(self._encode([text]))
            times.append((time.perf_counter() - start) * 1000)
        return float(np.percentile(times, 95))

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return encode(self.classifier.tokenizer, texts, self.classifier.max_length)

    def _logits(self, ids: list[list[int]]) -> npt.NDArray[np.float32]:
        arrays = pad(ids, self.classifier.pad_id)
        (logits,) = self.session.run(["logits"], dict(zip(INPUTS, arrays, strict=True)))
        return np.asarray(logits)


def export(classifier: Classifier, rows: Rows, reference: Probabilities, folder: Path, clock: Clock) -> Served:
    """Writes `folder`: int8 where that costs no accuracy on `rows` (the test rows), else fp32.

    `reference` holds the PyTorch model's probabilities [rows, labels]. What int8 answers on them is evaluation, by
    `clock`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    step = max(1, len(rows) // INT8_ROWS)
    texts, labels, reference = rows.texts[::step], np.asarray(rows.labels[::step]), reference[::step]
    golden = _golden(texts)
    golden_texts = [texts[index] for index in golden]
    fp32, int8 = folder / "model.fp32.onnx", folder / "model.int8.onnx"
    to_onnx(classifier, fp32, golden_texts)
    to_int8(fp32, int8)

    right = (reference.argmax(axis=1) == labels).mean()
    for precision, chosen in (("int8", int8), ("fp32", fp32)):
        session = OnnxClassifier(chosen, classifier)
        # One text a call, as the serving side checks it: int8 answers depend on the other texts of a batch.
        answers = np.concatenate([session.predict([text]) for text in golden_texts])
        difference, allowed = float(np.abs(answers - reference[golden]).max()), AGREEMENT[precision]
        # fp32 is the last resort, whose accuracy decides nothing more; how well it agrees is a check of its own.
        if precision == "fp32" or difference > allowed:
            continue
        with clock("evaluating"):
            cost = right - (session.predict(texts).argmax(axis=1) == labels).mean()
        if cost <= INT8_MAX_LOSS:
            break
    (int8 if chosen == fp32 else fp32).unlink()

    fast = classifier.tokenizer.backend_tokenizer
    fast.no_truncation()
    fast.no_padding()
    fast.save(str(folder / "tokenizer.json"))
    cases = [
        {"text": text, "scores": dict(zip(classifier.label_names, map(float, row), strict=True))}
        for text, row in zip(golden_texts, answers, strict=True)
    ]
    # Wide enough for a server that takes the PyTorch model (on a GPU) instead of the file.
    _write_json(folder / "golden.json", {"tolerance": GOLDEN_TOLERANCE + difference, "cases": cases})
    files = {name: _fingerprint(folder / name) for name in (chosen.name, "tokenizer.json", "golden.json")}
    manifest = {
        "format": 1,
        "labels": classifier.label_names,
        "max_length": classifier.max_length,
        "model": chosen.name,
        "precision": precision,
        "inputs": list(INPUTS),
        "pad_token_id": classifier.pad_id,
        "files": files,
    }
    _write_json(folder / "manifest.json", manifest)
    return Served(folder, precision, difference, allowed, session.latency_ms(golden_texts))


def to_onnx(classifier: Classifier, file: Path, texts: Sequence[str]) -> None:
    """Writes the model into `file`, as a small graph where that gives the same answers for `texts`, else as traced."""
    from training_endpoint.judge import graph  # noqa: PLC0415 - it imports onnx

    traced = file.with_name("traced.onnx")
    trace(classifier, traced)
    config = classifier.model.config
    try:
        graph.shrink(traced, getattr(config, "num_attention_heads", 0), getattr(config, "hidden_size", 0), file)
        answers = [OnnxClassifier(one, classifier).predict(texts) for one in (traced, file)]
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


def to_int8(fp32: Path, int8: Path) -> None:
    """Weights as int8 per channel, activations quantised while running.

    `reduce_range` keeps a bit free: without it, processors that lack VNNI overflow and answer differently.
    """
    import onnx  # noqa: PLC0415
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        quantize_dynamic(
            fp32,
            int8,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            # Of what the joined nodes give, which ONNX's own inference of types does not know.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        root.setLevel(level)


def _golden(texts: Sequence[str]) -> list[int]:
    """Indexes of different texts from the shortest to the longest, the same ones for the same rows."""
    first = {text: index for index, text in reversed(list(enumerate(texts)))}
    ordered = sorted(first, key=lambda text: (len(text), text))
    picks = np.linspace(0, len(ordered) - 1, min(GOLDEN_CASES, len(ordered)))
    return [first[ordered[round(pick)]] for pick in picks]


def _fingerprint(file: Path) -> dict[str, str | int]:
    return {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "bytes": file.stat().st_size}


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
