"""A replica as it is, with the model of a folder (HOSTILE_MODEL) instead of a fleet's decision."""

import os
from pathlib import Path
from typing import Any

from model_endpoint.__main__ import Replica
from model_endpoint.api import create_app
from model_endpoint.server import Server
from model_endpoint.settings import Settings
from model_endpoint.slot import Loaded
from model_runner import load
from tests.unit.model_endpoint import stub


class Served(Replica):
    """The real server, the real tokenizer and ONNX Runtime."""

    def load(self) -> Any:
        server = Server(self.settings)
        model = load(Path(os.environ["HOSTILE_MODEL"]), "onnx")
        server.replica.slot.offer(Loaded(stub.voucher(7), model))
        server.replica.commit(7, 1, "hostile")
        return create_app(self.settings, server)


if __name__ == "__main__":
    Served(Settings.from_env(os.environ)).run()
