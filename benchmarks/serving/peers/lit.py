"""LitServe with batching."""

import sys
from pathlib import Path
from typing import Any

import litserve

sys.path.insert(0, str(Path(__file__).parent))
from classifier import Classifier


class Api(litserve.LitAPI):
    """Requests of one text or many, batched over requests."""

    def setup(self, device: str) -> None:
        self.classifier = Classifier()

    def decode_request(self, request) -> list[str]:  # type: ignore[no-untyped-def] # a type changes what it gets
        texts = request["input"]
        return texts if isinstance(texts, list) else [texts]

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        return inputs

    def predict(self, x: list[list[str]]) -> list[list[list[float]]]:
        scores = iter(self.classifier([text for texts in x for text in texts]))
        return [[next(scores) for _ in texts] for texts in x]

    def unbatch(self, output: list[list[list[float]]]) -> list[list[list[float]]]:
        return output

    def encode_response(self, output: list[list[float]]) -> Any:
        return {"scores": output}


if __name__ == "__main__":
    api = Api(max_batch_size=8, batch_timeout=0.002)
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
