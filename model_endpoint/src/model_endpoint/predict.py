"""From a request's body to scores: validation, limits, and the work cut for the cores."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_endpoint.cores import Cores
from model_endpoint.encoding import encode
from model_endpoint.errors import InvalidInput, Overloaded, TooLarge
from model_endpoint.models import awake
from model_endpoint.settings import Settings
from model_endpoint.slot import Loaded, Slot
from model_runner import Probabilities, softmax

# What no text in a database can hold either, so no model has been trained on it.
DAMAGE = re.compile(r"[\x00\ud800-\udfff]")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Answer:
    """One model's scores, [texts, labels], with the rows in the order of the texts."""

    loaded: Loaded
    scores: Probabilities
    truncated: list[bool]
    pieces: list[int]
    """How many tokens the model read of each text."""

    def ranked(self, top_k: int | None = None) -> list[list[tuple[str, float]]]:
        """For each text the labels with their scores, best first; `top_k` None means all."""
        labels = self.loaded.model.labels
        order = np.argsort(-self.scores, axis=1, kind="stable")[:, :top_k].tolist()
        rows = self.scores.round(6).tolist()
        return [[(labels[index], row[index]) for index in best] for row, best in zip(rows, order, strict=True)]


def parse_json(body: bytes) -> Any:
    """The body as JSON; InvalidInput says what is wrong with it."""
    if not body:
        raise InvalidInput("The body is empty: send JSON.")
    try:
        return json.loads(body.removeprefix(BYTE_ORDER_MARK).decode())
    except UnicodeDecodeError:
        raise InvalidInput("The body is not UTF-8.") from None
    except RecursionError:
        raise InvalidInput("The body is nested too deeply.") from None
    except ValueError as error:
        raise InvalidInput(f"The body is not JSON: {error}.") from None


def parse_object(body: bytes, fields: set[str]) -> dict[str, Any]:
    """The body as an object with no other fields than `fields`."""
    found = parse_json(body)
    if not isinstance(found, dict):
        raise InvalidInput('The body must be an object such as {"input": "a text"}.')
    unknown = sorted(set(found) - fields)
    if unknown:
        raise InvalidInput(f"Unknown field {unknown[0][:50]!r}: there are {', '.join(sorted(fields))}.")
    return found


def whole_number(value: Any, least: int = 1) -> int | None:
    """The integer that a JSON number from `least` is, 2.0 too; None for all else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else None


def parse_top_k(value: Any) -> int | None:
    """How many labels are wanted; None means all."""
    if value is None:
        return None
    found = whole_number(value)
    if found is None:
        raise InvalidInput("top_k must be a whole number from 1.")
    return found


class Predictor:
    """Classifies texts with the current model of `slot` on `cores`."""

    def __init__(self, slot: Slot, cores: Cores, settings: Settings) -> None:
        self.slot = slot
        self.cores = cores
        self.settings = settings

    def classify(
        self, texts: Any, leases: list[Callable[[], None]], wanted: Callable[[], None] = lambda: None
    ) -> Answer:
        """The scores of `texts`, after a check of what they are; all from one model.

        Raises InvalidInput, TooLarge, NoModel, Overloaded, ModelBroke, or what `wanted` raises, which is called now
        and then while there is more to do. `leases` are to be called when the answer is sent.
        """
        self._check(texts)
        end = time.monotonic() + self.settings.answer_seconds

        def check() -> None:
            wanted()
            if time.monotonic() > end:
                self._give_up(len(texts))

        return self.slot.run(lambda loaded: self._answer(loaded, texts, check), leases)

    def _give_up(self, texts: int) -> None:
        seconds = self.settings.answer_seconds
        if texts > 1:
            raise TooLarge(f"{texts} texts of this length take longer than {seconds:g} s here: send fewer at a time.")
        raise Overloaded(f"No core was free within {seconds:g} s; try again later.")

    def _answer(self, loaded: Loaded, texts: list[str], check: Callable[[], None]) -> Answer:
        model = awake(loaded.model)
        encoded = encode(model, texts, self.settings.max_tokens, check)
        logits = self.cores.logits(model, encoded, check, self.slot.check)
        return Answer(loaded, softmax(logits), [row.truncated for row in encoded], [len(row.ids) for row in encoded])

    def _check(self, texts: Any) -> None:
        if not isinstance(texts, list) or not texts:
            raise InvalidInput("The input must be a text or a list with at least one text.")
        if len(texts) > self.settings.max_texts:
            raise TooLarge(f"{len(texts)} texts in one request: at most {self.settings.max_texts} are allowed.")
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise InvalidInput(f"Input {index} is no text.")
            if len(text) > self.settings.max_characters:
                raise TooLarge(f"Input {index} has {len(text)} characters: {self.settings.max_characters} are allowed.")
            if not text.strip():
                raise InvalidInput(f"Input {index} is empty.")
            damage = DAMAGE.search(text)
            if damage:
                what = "the character zero" if damage.group() == "\0" else "half of a surrogate pair"
                raise InvalidInput(
                    f"Input {index} has {what}, U+{ord(damage.group()):04X}, at {damage.start()}: that is in no text."
                )
