"""A version's files become something that classifies texts."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model_endpoint.errors import CannotServe

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Encoded:
    """A tokenized text: the ids, with truncation done, and whether truncation cut something off."""

    ids: list[int]
    truncated: bool


class Model(Protocol):
    """What serves a version."""

    labels: list[str]
    kind: str
    chunk: int
    """The most texts that one inference should have."""
    parallel: int
    """How many inferences at a time pay, where there are as many cores."""
    overhead: float
    """What an inference costs beside its texts, as so many tokens more."""

    def encode(self, texts: list[str]) -> list[Encoded]:
        """Tokenizes; about 0.1 ms a text."""

    def logits(self, batch: list[Encoded]) -> Scores:
        """[len(batch), len(labels)], the rows in the order of the batch."""


@dataclass(frozen=True)
class Manifest:
    """serving/manifest.json: what the files are; the labels stand in the order of the logits."""

    labels: list[str]
    max_length: int
    model: str
    precision: str
    inputs: list[str]
    pad_token_id: int

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Reads the manifest; CannotServe says what is wrong with it."""
        try:
            values = json.loads((folder / "manifest.json").read_text())
            if values["format"] != 1:
                raise CannotServe(f"The manifest's format is {values['format']!r}; this server knows 1.")
            return cls(
                labels=[str(label) for label in values["labels"]],
                max_length=int(values["max_length"]),
                model=str(values["model"]),
                precision=str(values["precision"]),
                inputs=[str(name) for name in values["inputs"]],
                pad_token_id=int(values["pad_token_id"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CannotServe(f"serving/manifest.json is damaged: {error!r}.") from error


class OnnxModel:
    """The `serving/` folder of a version: tokenizers and ONNX Runtime, one thread for each inference.

    One thread, because several inferences side by side get more out of the cores than one on all of them.
    """

    chunk = 8
    parallel = sys.maxsize
    overhead = 10.0

    def __init__(self, folder: Path) -> None:
        manifest = Manifest.read(folder)
        self.labels = manifest.labels
        self.kind = f"onnx {manifest.precision}"
        self._pad = manifest.pad_token_id
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(manifest.max_length)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # Without the arena the memory of a large request goes back when the request is done.
        options.enable_cpu_mem_arena = False
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / manifest.model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common class of their own
            raise CannotServe(f"ONNX Runtime cannot load {manifest.model}: {error}") from error
        self._inputs = [value.name for value in self._session.get_inputs()]
        unknown = set(self._inputs) - {"input_ids", "attention_mask", "token_type_ids"}
        outputs = [value for value in self._session.get_outputs() if value.name == "logits"]
        if unknown or not outputs:
            raise CannotServe("No text classifier: the model must take token ids and give 'logits'.")
        width = outputs[0].shape[-1]
        if isinstance(width, int) and width != len(self.labels):
            raise CannotServe(f"The model gives {width} logits, the manifest names {len(self.labels)} labels.")

    def encode(self, texts: list[str]) -> list[Encoded]:
        return [Encoded(found.ids, bool(found.overflowing)) for found in self._tokenizer.encode_batch_fast(texts)]

    def logits(self, batch: list[Encoded]) -> Scores:
        length = max(len(row.ids) for row in batch)
        ids = np.full((len(batch), length), self._pad, dtype=np.int64)
        mask = np.zeros((len(batch), length), dtype=np.int64)
        for index, row in enumerate(batch):
            ids[index, : len(row.ids)] = row.ids
            mask[index, : len(row.ids)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (logits,) = self._session.run(["logits"], {name: feed[name] for name in self._inputs})
        return np.asarray(logits, dtype=np.float32)


def softmax(logits: Scores) -> Scores:
    """Probabilities along the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), dtype=np.float32)


def wants_torch(backend: str) -> bool:
    """Whether a version with both forms is served by PyTorch; `backend` is onnx, torch, or auto (on a GPU)."""
    from model_endpoint import torch_model  # noqa: PLC0415 - imports torch only when asked to load

    return backend == "torch" or (backend == "auto" and torch_model.gpu())


def load(folder: Path, backend: str) -> Model:
    """The model in `folder`, warmed up, its golden texts answered right; CannotServe says why not."""
    from model_endpoint import torch_model  # noqa: PLC0415 - as above

    exported = (folder / "manifest.json").exists()
    if backend == "onnx" and not exported:
        raise CannotServe("The version has no serving/ folder and MODEL_BACKEND is onnx.")
    if not exported or backend == "torch" or (wants_torch(backend) and torch_model.flavored(folder)):
        model: Model = torch_model.TorchModel(folder)
    else:
        model = OnnxModel(folder)
    _check(model, folder / "golden.json")
    return model


def _check(model: Model, golden: Path) -> None:
    """Warms the model up; where there are golden texts, each must be answered within the tolerance."""
    document: dict[str, Any] = json.loads(golden.read_text()) if golden.exists() else {"cases": []}
    texts = [case["text"] for case in document["cases"]]
    for text in texts or ["warm-up", "A somewhat longer text, so that the second run is another shape. " * 4]:
        scores = softmax(model.logits(model.encode([text])))
        if scores.shape != (1, len(model.labels)) or not np.isfinite(scores).all():
            raise CannotServe("No text classifier: it does not give one finite score for each label.")
        for case in document["cases"]:
            if case["text"] == text:
                wanted = np.array([case["scores"][label] for label in model.labels])
                if np.abs(scores[0] - wanted).max() > document["tolerance"]:
                    raise CannotServe(
                        f"The golden text {text[:60]!r} gets other scores here than where it was trained."
                    )
