"""An update as one CUDA graph: a single launch in place of the hundreds of kernels it consists of.

An update of small networks keeps a GPU waiting for Python, which launches its kernels one by one. A
graph of all of them takes its input from fixed places and leaves its output in fixed places, which
is why nothing in an update may read a number back. (torch's notes on CUDA graphs say the rest:
https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from parrot_models.networks.device import pinned
from parrot_models.rl.replay import Batch

NUM_EAGER = 3  # updates before the capture: libraries and optimizers set themselves up in them


class CapturedUpdate:
    """Calls an update a few times as it is, then captures it and replays it ever after.

    Every call is one true update, the first ones and the captured one too.

    Args:
        update: works on a batch on the device, whose shapes never change, and returns tensors.
        generator: all of the update's noise comes from it.
        device: a GPU.
    """

    def __init__(
        self,
        update: Callable[[Batch], dict[str, Tensor]],
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self._update, self._generator, self._device = update, generator, device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: Batch | None = None
        self._info: dict[str, Tensor] = {}
        self._num_calls = 0

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """One update on a batch of the CPU; what it returns is overwritten by the next."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            static = self._filled(batch)
            if self._num_calls < NUM_EAGER:
                self._info = self._update(static)
            else:
                self._replay(static)
        current.wait_stream(self._stream)
        self._num_calls += 1
        return self._info

    def _filled(self, batch: Batch) -> Batch:
        """The batch in the places that the graph reads; they are made by the first."""
        if self._batch is None:
            self._batch = batch.to(self._device)
        else:
            for place, tensor in zip(self._batch.tensors(), batch.tensors(), strict=True):
                place.copy_(pinned(tensor), non_blocking=True)
        return self._batch

    def _replay(self, static: Batch) -> None:
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            self._graph.register_generator_state(self._generator)
            # Only recorded here: its kernels run for the first time in the replay below.
            with torch.cuda.graph(self._graph, stream=self._stream):
                self._info = self._update(static)
        self._graph.replay()
