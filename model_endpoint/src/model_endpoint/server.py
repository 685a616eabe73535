"""The parts of a replica, joined together."""

import json
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from model_endpoint.cores import Cores
from model_endpoint.errors import InvalidInput, Stopped
from model_endpoint.front import Exchange
from model_endpoint.joiner import Joiner
from model_endpoint.metrics import Metrics
from model_endpoint.models import Models
from model_endpoint.peers import Peers
from model_endpoint.predict import Answer, Predictor, parse_object, parse_top_k
from model_endpoint.prediction_log import PredictionLog
from model_endpoint.replica import Replica
from model_endpoint.settings import Settings
from model_runner import machine

# Compact, keys in the order in which they stand.
JSON = json.JSONEncoder(separators=(",", ":"))


class Server:
    """The parts of a replica, joined together."""

    def __init__(self, settings: Settings, beside: "Server | None" = None, path: str = "") -> None:
        """`beside`: the server at the root, for one at `path`, which uses its cores, models, peers and log too."""
        self.settings = settings
        self.metrics: Metrics = Metrics(beside.metrics if beside else None)
        self.log: PredictionLog = beside.log if beside else PredictionLog(settings, self.metrics.log)
        self.classifier: str | None = settings.model_name if beside else None
        """Whose alone it is."""
        self.classifier_of: Callable[[str], str] = lambda model: self.classifier or model
        """The classifier's name, by that of its model."""
        models = beside.replica.models if beside else Models(settings.memory_mb << 20)
        self.replica: Replica = Replica(settings, self.metrics, models)
        self.peers: Peers = beside.peers if beside else Peers(self.replica.peers, settings.token)
        told = partial(self.peers.told, path)
        self.joiner = Joiner(self.replica, None if beside else self._share_cores, told)
        self.cores: Cores = beside.cores if beside else Cores(settings.cores or machine.cores(), most=machine.cores())
        self.predictor = Predictor(self.replica.slot, self.cores, settings)
        self.metrics.in_work.set_function(lambda: self.replica.slot.requests)
        self.metrics.queue.set_function(lambda: self.cores.waiting)

    def classify(self, texts: Any, exchange: Exchange) -> Answer:
        """The request's texts, classified; the answer's model goes into the headers."""
        start = time.perf_counter()
        try:
            answer = self.predictor.classify(texts, exchange.leases, exchange.wanted)
        except Stopped:
            exchange.met_model = True
            raise
        exchange.inferred = start, time.perf_counter()
        self.metrics.texts.observe(len(texts))
        exchange.loaded = answer.loaded
        self.log.add(exchange.request_id, self.classifier_of(answer.loaded.version.name), texts, answer)
        return answer

    def predict(self, body: bytes, exchange: Exchange) -> str:
        """What `POST /predict` answers to a body."""
        asked = parse_object(body, {"input", "top_k"})
        if "input" not in asked:
            raise InvalidInput('The field "input" is missing: a text or a list of texts.')
        top_k = parse_top_k(asked.get("top_k"))
        texts = asked["input"]
        answer = self.classify([texts] if isinstance(texts, str) else texts, exchange)
        predictions = [
            {"label": row[0][0], "score": row[0][1], "scores": dict(row)} | ({"truncated": True} if cut else {})
            for row, cut in zip(answer.ranked(top_k), answer.truncated, strict=True)
        ]
        return JSON.encode({"predictions": predictions, "model": model_of(answer.loaded.version)}) + "\n"

    def _share_cores(self, replicas: int) -> None:
        """With more inferences than cores all are slower: each of `replicas` on this machine takes its share."""
        if not self.settings.cores:
            self.cores.count = math.ceil(machine.cores() / max(1, replicas))

    def model(self) -> dict[str, Any] | None:
        """Who is served now, as answers name it."""
        loaded = self.replica.slot.current
        return model_of(loaded.version) if loaded else None


def model_of(version: Any) -> dict[str, Any]:
    """The part of an answer that names the model."""
    return {"name": version.name, "version": str(version.version), "run_id": version.run_id}
