"""Ranks: the processes that train one model together, each on its rows of every batch.

All of them draw the same weights, and the same rows of the same batch from the same stream; each
gathers and learns from its own part of these rows. The first alone writes, measures and tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from parrot_data.errors import UserError
from parrot_data.streams import generator

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """One process among those that train together; `ALONE` where there are no others.

    With others, torch's process group is open, and everything here that says "all" has to be called
    by all of them, in the same order.

    Attributes:
        rank: of this process, from 0 on.
        count: of processes.
    """

    rank: int
    count: int

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def check_batch(self, batch_size: int, key: str) -> None:
        """Refuse a batch that cannot be split into equal parts, whose gradients would weigh alike.

        Raises:
            UserError: naming the key of params.yaml.
        """
        if self.count == 1:
            return
        if batch_size % self.count or batch_size < 2 * self.count:
            raise UserError(
                f"{key} is {batch_size}, of the batch of all {self.count} processes together: set "
                f"it to a multiple of {self.count} from {2 * self.count} on, or start another "
                "number of processes (torchrun --nproc-per-node)"
            )

    def part(self, rows: NDArray[Any]) -> NDArray[Any]:
        """This process's part of the rows of a batch: all of them where it is alone."""
        size = len(rows) // self.count
        return rows[self.rank * size : (self.rank + 1) * size]

    def own(self, rng: np.random.Generator) -> np.random.Generator:
        """The stream for what differs between processes, such as noise, from one they share.

        It is that very stream in the first, so that a process alone draws what it ever drew.
        """
        if self.is_first:
            return rng
        return generator(int(rng.integers(2**62)), "ranks: own noise", self.rank)

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, for all; the others wait for it."""
        if self.count == 1:
            return make()
        made: list[Any] = [make() if self.is_first else None]
        distributed.broadcast_object_list(made, src=0)
        found: T = made[0]
        return found

    def wait(self) -> None:
        """Wait until all have come as far."""
        if self.count > 1:
            distributed.all_reduce(torch.zeros(1))

    def summed(self, values: Tensor) -> Tensor:
        """The sum over all processes of values that each has, where they lie."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def averaged(
        self, loss_at: Callable[[int], Tensor], parameters: Sequence[nn.Parameter]
    ) -> Callable[[int], Tensor]:
        """The same loss, whose gradients are then the means over all processes.

        Args:
            loss_at: of a process's part of a step's batch.
            parameters: what is trained, to begin with the same in all processes; each has a
                gradient in every step.
        """
        if self.count == 1:
            return loss_at
        return nn.parallel.DistributedDataParallel(_Loss(loss_at, parameters))


ALONE = Ranks(0, 1)


class _Loss(nn.Module):
    """A loss as torch averages gradients: of a module's forward pass, by its parameters."""

    def __init__(
        self, loss_at: Callable[[int], Tensor], parameters: Sequence[nn.Parameter]
    ) -> None:
        super().__init__()
        self.trained = nn.ParameterList(parameters)
        self._loss_at = loss_at

    def forward(self, step: int) -> Tensor:
        return self._loss_at(step)
