"""A replica as it is but for its model, which is a stub: up in a second, without a registry."""

import os
from pathlib import Path
from typing import Any

from model_endpoint.__main__ import Replica
from model_endpoint.api import create_app
from model_endpoint.settings import Settings
from tests.unit.model_endpoint import stub


class Stubbed(Replica):
    """The real server around a model that reads the label off the text."""

    def load(self) -> Any:
        server = stub.server(Path(os.environ["MODEL_CACHE"]), stub.Stub(float(os.environ.get("STUB_SECONDS", "0"))))
        server.settings = self.settings
        return create_app(self.settings, server)


if __name__ == "__main__":
    Stubbed(Settings.from_env(os.environ)).run()
