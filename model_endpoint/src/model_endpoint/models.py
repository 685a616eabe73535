"""The models that this process has loaded, each once, however many classifiers serve it."""

import threading
from collections.abc import Callable
from weakref import WeakValueDictionary

from model_runner import Model


class Models:
    """By the key of a version; a model that nobody serves any more is forgotten."""

    def __init__(self) -> None:
        self._loaded: WeakValueDictionary[str, Model] = WeakValueDictionary()
        self._lock = threading.Lock()

    def get(self, key: str, load: Callable[[], Model]) -> Model:
        """The model, which `load` loads where it is not there yet; one at a time."""
        with self._lock:
            found = self._loaded.get(key)
            if found is None:
                found = self._loaded[key] = load()
            return found
