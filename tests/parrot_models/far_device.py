"""A device that is nobody's default: torch's meta device, which computes nothing but shapes.

Code that runs on it makes no tensor on the CPU by accident: one that meets a far one in any
operation raises here, and so does reading a number back, which on a GPU would only be slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from parrot_models.rl import sac
from parrot_models.training import likelihood

FAR = torch.device("meta")
COPIES = {
    torch.ops.aten.copy_.default,
    torch.ops.aten._to_copy.default,
    torch.ops.aten._has_compatible_shallow_copy_type.default,  # asked by `Module.to`
}


class OneDevice(TorchDispatchMode):
    """Raises where tensors of two devices meet; scalars may come from the CPU, as on a GPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        leaves = tree_leaves((args, kwargs or {}))
        devices = {x.device.type for x in leaves if isinstance(x, torch.Tensor) and x.dim() > 0}
        if len(devices) > 1 and func not in COPIES:
            raise RuntimeError(f"{func} on {sorted(devices)}")
        return func(*args, **(kwargs or {}))


@contextmanager
def far_from_the_cpu() -> Iterator[None]:
    def adam(parameters: Any, learning_rate: float, device: torch.device, *, fused: bool) -> Any:
        return torch.optim.Adam(parameters, learning_rate)  # there are no fused kernels for it

    with pytest.MonkeyPatch.context() as patch, OneDevice():
        patch.setattr(sac, "adam", adam)
        for module in (sac, likelihood):  # nor autocast
            patch.setattr(module, "layers_in", lambda _precision, _device: nullcontext())
        patch.setattr(torch, "is_autocast_enabled", lambda _device: False)
        patch.setattr(sac, "noise_generator", lambda generator, _device: generator)
        yield
