"""Ray Serve: two replicas behind its own proxy, with batching."""

import signal
import sys
from pathlib import Path

import ray
from ray import serve
from starlette.requests import Request

sys.path.insert(0, str(Path(__file__).parent))
from classifier import Classifier


@serve.deployment(num_replicas=2, max_ongoing_requests=64, ray_actor_options={"num_cpus": 0.5})
class Service:
    """Batched over requests."""

    def __init__(self) -> None:
        self.classifier = Classifier()

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.002)
    async def batched(self, requests: list[list[str]]) -> list[list[list[float]]]:
        scores = iter(self.classifier([text for texts in requests for text in texts]))
        return [[next(scores) for _ in texts] for texts in requests]

    async def __call__(self, request: Request) -> list[list[float]]:
        texts = (await request.json())["input"]
        return await self.batched(texts if isinstance(texts, list) else [texts])


ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, _node_ip_address="127.0.0.1")
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
serve.run(Service.bind())
signal.pause()
