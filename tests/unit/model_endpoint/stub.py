"""A replica without registry and ONNX: a model that reads the label off the text."""

import time
from pathlib import Path

import numpy as np

from model_endpoint.api import Server
from model_endpoint.errors import RegistryUnavailable
from model_endpoint.registry import Version
from model_endpoint.settings import Settings
from model_endpoint.slot import Loaded
from model_runner import Encoded, Logits

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


class Registry:
    """A registry of any number of versions, one of them Champion; away when that is None."""

    def __init__(self, champion: int | None = 1) -> None:
        self.crowned = champion

    def version(self, name: str, number: int) -> Version:
        if self.crowned is None:
            raise RegistryUnavailable("MLflow does not answer.")
        return Version(name, number, f"run{number}", f"place{number}")

    def champion(self, name: str, alias: str) -> Version:
        return self.version(name, self.crowned or 0)


def loaded(number: int, model: Stub | None = None) -> Loaded:
    return Loaded(Version("text-classifier", number, f"run{number}", f"place{number}"), model or Stub())


def server(folder: Path, model: Stub | None = None, **variables: str) -> Server:
    """A replica that serves version 7, and follows nothing."""
    replica = Server(settings(folder, **variables))
    replica.replica.slot.offer(loaded(7, model))
    replica.replica.commit(7, 1, "stub")
    return replica
