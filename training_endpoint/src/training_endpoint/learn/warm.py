"""A run that goes on from a trained model with what is new: which rows it takes, and what becomes of the weights."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

REPLAYED = 6
"""For each new row so many old ones are trained on again, drawn anew in each run."""
LEAST = 512
"""At least so many rows are trained on: fewer would pull the model to themselves."""
COSTLY = 0.5
"""A run that takes this share of a full one's rows, or more, is none that costs what is new."""
OWN = 0.3
"""The share that the trained weights have in the mean of them and those that the run started from."""


def places(new: npt.NDArray[np.bool_], seed: int) -> npt.NDArray[np.int64]:
    """The rows of a run: all that are `new`, and a draw of the others."""
    fresh, old = np.flatnonzero(new), np.flatnonzero(~new)
    wanted = max(REPLAYED * len(fresh), LEAST - len(fresh))
    replayed = np.random.default_rng([seed, len(fresh)]).choice(old, min(wanted, len(old)), replace=False)
    return np.sort(np.concatenate([fresh, replayed]))


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of what `average` wants of a model that is about to be trained."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def average(model: torch.nn.Module, before: Mapping[str, torch.Tensor], own: float = OWN) -> None:
    """Moves the weights of `model`, in place, back towards those of `before`."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.lerp_(before[name].to(tensor.device), 1 - own)
