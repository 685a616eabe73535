"""What every peer runs on: the same ONNX file and tokenizer, sorted by length, one thread for an inference."""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

CHUNK = 8


class Classifier:
    """The folder `serving/` in BENCH_MODEL: the ONNX file that we serve, or that of the form BENCH_FORM."""

    def __init__(self) -> None:
        folder = Path(os.environ["BENCH_MODEL"]) / "serving"
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(256)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        served = json.loads((folder / "manifest.json").read_text())["forms"][0]["name"]
        form = os.environ.get("BENCH_FORM") or served
        file = folder / f"model.{form}.onnx"
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def __call__(self, texts: list[str]) -> list[list[float]]:
        """Probabilities, [texts, labels]."""
        rows = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        found: list[list[float]] = [[] for _ in rows]
        for start in range(0, len(order), CHUNK):
            chunk = order[start : start + CHUNK]
            length = max(len(rows[index]) for index in chunk)
            ids = np.zeros((len(chunk), length), dtype=np.int64)
            mask = np.zeros_like(ids)
            for place, index in enumerate(chunk):
                ids[place, : len(rows[index])] = rows[index]
                mask[place, : len(rows[index])] = 1
            (logits,) = self.session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
            raised = np.exp(logits - logits.max(axis=1, keepdims=True))
            for index, row in zip(chunk, (raised / raised.sum(axis=1, keepdims=True)).tolist(), strict=True):
                found[index] = row
        return found
