"""A replica without registry and ONNX: a model that reads the label off the text."""

import time
from pathlib import Path

import numpy as np

from mlops_contract.voucher import Voucher
from model_endpoint.server import Server
from model_endpoint.settings import Settings
from model_endpoint.slot import Loaded
from model_runner import Encoded, Logits, Model

TOKEN = "a-token"


class Stub:
    """Says positive for texts with 'good' in them; a text is cut after 50 words."""

    kind = "stub"
    piece = 8
    parallel = 1024
    joins = True

    def __init__(self, seconds: float = 0) -> None:
        self.labels = ["negative", "positive"]
        self.seconds = seconds
        self.batches: list[int] = []

    def encode(self, texts: list[str]) -> list[Encoded]:
        return [Encoded([int("good" in text)] * min(len(text.split()), 50), len(text.split()) > 50) for text in texts]

    def logits(self, batch: list[Encoded]) -> Logits:
        time.sleep(self.seconds)
        self.batches.append(len(batch))
        return np.array([[1 - row.ids[0], row.ids[0]] for row in batch], dtype=np.float32)


def settings(folder: Path, **variables: str) -> Settings:
    return Settings.from_env({"PLATFORM_TOKEN": TOKEN, "MODEL_CACHE": str(folder), **variables})


def voucher(number: int, name: str = "text-classifier") -> Voucher:
    """Vouches for a version that has no files to speak of."""
    return Voucher(name, number, f"run{number}", f"place{number}", {"serving/manifest.json": f"{number:064x}"})


def loaded(number: int, model: Model | None = None) -> Loaded:
    return Loaded(voucher(number), model or Stub())


def server(folder: Path, model: Model | None = None, **variables: str) -> Server:
    """A replica that serves version 7, and joins nobody."""
    replica = Server(settings(folder, **variables))
    replica.replica.slot.offer(loaded(7, model))
    replica.replica.commit(7, 1, "stub")
    return replica
