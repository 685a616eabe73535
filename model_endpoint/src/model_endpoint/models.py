"""The models that this process has in memory: each once, however many classifiers serve it, and no more than fit.

The one that was used least recently leaves first, and comes back from the store at its next request.
"""

import threading
import time
from collections.abc import Callable
from weakref import WeakValueDictionary

from model_runner import Encoded, Logits, Model


class Kept:
    """A model that may have left memory, and answers as if it had not."""

    def __init__(self, models: "Models", load: Callable[[], Model], size: int) -> None:
        """`load` gives the same model each time, which takes about `size` bytes."""
        self.size = size
        self.used = time.monotonic()
        self._models = models
        self._load = load
        self._model: Model | None = None
        model = self.awake()
        self.labels, self.kind = model.labels, model.kind
        self.piece, self.parallel, self.joins = model.piece, model.parallel, model.joins

    @property
    def in_memory(self) -> bool:
        """Whether the next request finds it there."""
        return self._model is not None

    def encode(self, texts: list[str]) -> list[Encoded]:
        return self.awake().encode(texts)

    def logits(self, texts: list[Encoded]) -> Logits:
        return self.awake().logits(texts)

    def awake(self) -> Model:
        """The model itself, loaded where it is not; raises what `load` raises."""
        self.used = time.monotonic()
        model = self._model
        if model is None:
            with self._models.loading:
                model = self._model
                if model is None:
                    model = self._model = self._load()
                    self._models.make_room(self)
        return model

    def leave(self) -> None:
        """Leaves memory as soon as no request computes with it any more."""
        self._model = None


def awake(model: Model) -> Model:
    """The model itself: a request that has it keeps it, even where others need the room meanwhile."""
    return model.awake() if isinstance(model, Kept) else model


class Models:
    """By the key of a version; one that nobody serves any more is forgotten."""

    def __init__(self, most: int) -> None:
        """`most`: bytes of all that are in memory; the one that is asked is there even where it is larger."""
        self.loading = threading.RLock()
        """One at a time."""
        self._most = most
        self._all: WeakValueDictionary[str, Kept] = WeakValueDictionary()

    def get(self, key: str, load: Callable[[], Model], size: int) -> Kept:
        """The model, which `load` loads where it is not there yet."""
        with self.loading:
            found = self._all.get(key)
            if found is None:
                found = self._all[key] = Kept(self, load, size)
            return found

    def make_room(self, needed: Kept) -> None:
        """Has others leave, those first that were used least recently, until the rest fits."""
        others = [one for one in self._all.values() if one.in_memory and one is not needed]
        taken = needed.size + sum(one.size for one in others)
        for one in sorted(others, key=lambda one: one.used):
            if taken <= self._most:
                return
            one.leave()
            taken -= one.size
