"""A replica as it is but for its model, which is a stub: up in a second, without a registry."""

import os
from typing import Any

from model_endpoint.__main__ import Replica
from model_endpoint.api import create_app
from model_endpoint.server import Server
from model_endpoint.settings import Settings
from model_runner import Encoded
from tests.unit.model_endpoint import stub


class Fragile(stub.Stub):
    """Kills its process, or panics, where a text says so."""

    class Panic(BaseException):
        pass

    def encode(self, texts: list[str]) -> list[Encoded]:
        if "kill" in texts[0]:
            os._exit(1)
        if "panic" in texts[0]:
            raise self.Panic
        return super().encode(texts)


class Stubbed(Replica):
    """The real server around a model that reads the label off the text; without one where STUB_EMPTY is set."""

    def load(self) -> Any:
        model = Fragile(float(os.environ.get("STUB_SECONDS", "0")))
        server = self.served = Server(self.settings)
        server.log.start()
        if "STUB_EMPTY" not in os.environ:
            server.replica.slot.offer(stub.loaded(7, model))
            server.replica.commit(7, 1, "stub")
        return create_app(self.settings, server)


if __name__ == "__main__":
    Stubbed(Settings.from_env(os.environ)).run()
