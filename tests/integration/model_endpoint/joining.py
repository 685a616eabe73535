"""A replica as it is, which joins the others and is switched like any, but for its models, which are stubs."""

import os
import time

from mlops_contract.voucher import Voucher
from model_endpoint.__main__ import Replica
from model_endpoint.server import Server
from model_endpoint.settings import Settings
from model_endpoint.slot import Loaded
from tests.unit.model_endpoint import stub


class Joining(Replica):
    """The real server; loading a version takes STUB_LOAD_SECONDS."""

    def server(self) -> Server:
        made = Server(self.settings)

        def load(voucher: Voucher) -> Loaded:
            time.sleep(float(os.environ.get("STUB_LOAD_SECONDS", "0")))
            return Loaded(voucher, stub.Stub())

        made.replica._load = load  # type: ignore[method-assign] # a stub
        return made


if __name__ == "__main__":
    Joining(Settings.from_env(os.environ)).run()
