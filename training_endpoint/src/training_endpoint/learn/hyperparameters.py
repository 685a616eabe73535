"""What a training run may be told, with defaults and ranges; all of it is logged."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from training_endpoint.errors import InvalidOverride
from training_endpoint.settings import MODES, Settings


@dataclass(frozen=True)
class Hyperparameters:
    """One run's choices. A request may override those that `OVERRIDES` names."""

    # Where the weights come from: embedded, a folder or a hub id; `champion` goes on from the served model.
    base_model: str = "embedded"
    start_from: str = "base"
    # `auto` goes on from the Champion with what is new where that is as good; `full` does not.
    training_mode: str = "auto"
    # How much is learned: passes over the rows, and at most so many of them (None: all), evenly drawn.
    epochs: int = 2
    max_rows: int | None = None
    max_length: int = 256  # tokens; what is longer is cut
    # AdamW with linear warm-up and linear decay to zero.
    batch_size: int = 16
    learning_rate: float = 1e-4
    # The same for a run that goes on from the Champion.
    warm_epochs: int = 1
    warm_learning_rate: float = 3e-5
    weight_decay: float = 0.01
    warmup: float = 0.06  # share of all steps
    clip: float = 1.0  # largest norm of the gradient
    # Batches of almost equal length are cut from pools of this many batches: less padding, still random.
    pool: int = 50
    seed: int = 0

    @classmethod
    def defaults(cls, settings: Settings) -> "Hyperparameters":
        """What a request that says nothing gets."""
        return cls(base_model=settings.base_model, training_mode=settings.training_mode)

    @classmethod
    def from_request(cls, overrides: Mapping[str, Any], defaults: "Hyperparameters") -> "Hyperparameters":
        """`defaults` with the request's fields; raises `InvalidOverride` that names the field and its range."""
        unknown = sorted(set(overrides) - OVERRIDES)
        if unknown:
            raise InvalidOverride(
                f"{unknown[0][:50]!r} is not a field of this request: {', '.join(sorted(OVERRIDES))} are."
            )
        told = {name: _checked(name, value) for name, value in overrides.items()}
        # What a request says of these holds for whichever course the run takes.
        told |= {f"warm_{name}": told[name] for name in ("epochs", "learning_rate") if name in told}
        return replace(defaults, **told)

    def as_dict(self) -> dict[str, Any]:
        """All fields, as MLflow logs them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


# field: (type, lowest, highest)
RANGES: dict[str, tuple[type, float, float]] = {
    "epochs": (int, 1, 100),
    "batch_size": (int, 1, 1024),
    "learning_rate": (float, 1e-7, 1e-2),
    "max_rows": (int, 2, 1_000_000_000),
    "seed": (int, 0, 2**31 - 1),
}
# Control characters, and halves of surrogate pairs: in no name, and no database takes them.
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
START_FROM = ("base", "champion")
CHOICES = {"start_from": START_FROM, "training_mode": MODES}
OVERRIDES = frozenset({*RANGES, *CHOICES, "base_model"})


def _checked(name: str, value: Any) -> Any:
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise InvalidOverride(f"{name} is {repr(value)[:50]}: it must be one of {', '.join(CHOICES[name])}.")
        return value
    if name == "base_model":
        if not isinstance(value, str) or not value.strip() or len(value) > 300 or UNFIT.search(value):
            raise InvalidOverride("base_model must be a text of up to 300 characters: embedded, a folder or a hub id.")
        return value.strip()
    if name == "max_rows" and value is None:
        return None
    kind, low, high = RANGES[name]
    wanted = "a whole number" if kind is int else "a number"
    # A whole number stays one when a program writes it as 2.0.
    fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not fits or (kind is int and value != int(value)):
        raise InvalidOverride(f"{name} is {repr(value)[:50]}: it must be {wanted} from {low:g} to {high:g}.")
    return kind(value)
