"""BentoML with its adaptive batching."""

import sys
from pathlib import Path

import bentoml

sys.path.insert(0, str(Path(__file__).parent))
from classifier import Classifier


@bentoml.service(workers=1, traffic={"timeout": 60})
class Service:
    """One worker, so that two replicas take one core each."""

    def __init__(self) -> None:
        self.classifier = Classifier()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def predict(self, texts: list[str]) -> list[list[float]]:
        return self.classifier(texts)
