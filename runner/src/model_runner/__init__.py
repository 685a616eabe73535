"""What the files of a model version answer, the same for who judges it and for who serves it.

Reads one folder and computes: no service, no network, no code from the folder. Nothing but our manifest, golden.json,
tokenizer.json, ONNX, safetensors and config.json is read.
"""

from model_runner.answering import answers, latency_ms, scores
from model_runner.errors import CannotServe
from model_runner.loading import footprint, gather, load
from model_runner.model import Logits, Model, Probabilities, softmax
from model_runner.text import Encoded, Encoder

__all__ = [
    "CannotServe",
    "Encoded",
    "Encoder",
    "Logits",
    "Model",
    "Probabilities",
    "answers",
    "footprint",
    "gather",
    "latency_ms",
    "load",
    "scores",
    "softmax",
]
