"""Many texts at once: what judging needs."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from model_runner.loading import load
from model_runner.model import Model, Probabilities, softmax


def answers(folder: Path, texts: Sequence[str], cores: int, backend: str = "onnx") -> tuple[list[str], Probabilities]:
    """What a version's folder answers: its labels, and probabilities float64 [texts, labels]; CannotServe as `load`."""
    model = load(folder, backend)
    return model.labels, scores(model, texts, cores)


def scores(
    model: Model, texts: Sequence[str], cores: int, done: Callable[[float], None] | None = None
) -> Probabilities:
    """Probabilities float64 [texts, labels], computed on `cores` cores; `done` is told the share that is answered."""
    encoded = model.encode(list(texts))
    logits = np.empty((len(encoded), len(model.labels)), np.float32)
    # Longest first: what does not fit in memory fails at once, and the last pieces are short on every core.
    order = sorted(range(len(encoded)), key=lambda index: -len(encoded[index].ids))
    pieces = [order[start : start + model.piece] for start in range(0, len(order), model.piece)]
    answered = 0

    def answer(piece: list[int]) -> int:
        logits[piece] = model.logits([encoded[index] for index in piece])
        return len(piece)

    with ThreadPoolExecutor(max(1, min(cores, model.parallel))) as pool:
        for count in pool.map(answer, pieces):
            answered += count
            if done is not None:
                done(answered / len(encoded))
    return softmax(logits) if len(encoded) else np.empty((0, len(model.labels)))


def latency_ms(model: Model, texts: Sequence[str]) -> float:
    """95th percentile of the time of one text a call, encoding included."""
    times = []
    for text in texts:
        start = time.perf_counter()
        model.logits(model.encode([text]))
        times.append((time.perf_counter() - start) * 1000)
    return float(np.percentile(times, 95))
