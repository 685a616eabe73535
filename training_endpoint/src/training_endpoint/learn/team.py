"""The processes that train one model together. Each computes its share of every batch; alone, nothing is exchanged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist


class PartnerLost(Exception):
    """Another process of the team is gone; why, only that one knows."""


@dataclass(frozen=True)
class Team:
    """This process among `size`. Calls that exchange something must be made by all of them, in the same order."""

    rank: int = 0
    size: int = 1
    device: torch.device | None = None

    def share(self, batch: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """What this process computes of a batch sorted by length: every size-th row, so that all get as much work."""
        return batch[self.rank :: self.size]

    def sum(self, *values: float) -> list[float]:
        """Each value summed over the processes."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        self._add(total)
        return list(total.tolist())

    def sum_gradients(self, weights: Sequence[torch.nn.Parameter]) -> None:
        """Sums the gradients of `weights`, in place; a process without a row of the batch adds zeros."""
        if self.size == 1:
            return
        # One exchange of all at once costs less than one for each weight.
        total = torch.cat([(torch.zeros_like(one) if one.grad is None else one.grad).flatten() for one in weights])
        self._add(total)
        for weight, gradient in zip(weights, torch.split(total, [one.numel() for one in weights]), strict=True):
            weight.grad = gradient.view_as(weight)

    def _add(self, values: torch.Tensor) -> None:
        try:
            dist.all_reduce(values)
        except RuntimeError as error:
            raise PartnerLost(str(error)) from error
