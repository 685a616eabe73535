"""A version's ONNX file, run by ONNX Runtime on a CPU."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

from model_runner.errors import CannotServe
from model_runner.model import Logits
from model_runner.text import Encoded, Encoder

KNOWN = {"input_ids", "attention_mask", "token_type_ids"}


class OnnxModel:
    """One thread and one text an inference.

    One thread, because several inferences side by side get more out of the cores than one on all of them. One text,
    unpadded, because then nothing but the text decides its scores: int8 scales what it computes by the largest value
    in the batch, and kernels are chosen by its shape. Joined texts would be a tenth quicker.
    """

    piece = 4
    parallel = sys.maxsize
    joins = False

    def __init__(self, file: Path, form: str, labels: list[str], encoder: Encoder) -> None:
        self.labels = labels
        self.kind = f"onnx {form}"
        self._encoder = encoder
        self._session = session(file)
        self._inputs = [value.name for value in self._session.get_inputs()]
        outputs = [value for value in self._session.get_outputs() if value.name == "logits"]
        if set(self._inputs) - KNOWN or not outputs:
            raise CannotServe("No text classifier: the model must take token ids and give 'logits'.")
        width = outputs[0].shape[-1]
        if isinstance(width, int) and width != len(self.labels):
            raise CannotServe(f"The model gives {width} logits, the manifest names {len(self.labels)} labels.")

    def encode(self, texts: list[str]) -> list[Encoded]:
        return self._encoder.encode(texts)

    def logits(self, texts: list[Encoded]) -> Logits:
        if len(texts) == 1:
            return self._one(texts[0])
        return np.concatenate([self._one(text) for text in texts])

    def _one(self, text: Encoded) -> Logits:
        ids = np.array([text.ids], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (logits,) = self._session.run(["logits"], {name: feed[name] for name in self._inputs})
        return np.asarray(logits, dtype=np.float32)


def session(file: Path) -> onnxruntime.InferenceSession:
    """ONNX Runtime with one thread; CannotServe where it does not take the file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Without the arena the memory of a large request goes back when the request is done.
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class of their own
        raise CannotServe(f"ONNX Runtime cannot load {file.name}: {error}") from error
