"""The precision of products; how a processor is brought to it depends on what it can, on no timing.

So a machine always does the same. What a product sums up is float32 in all of these ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import torch
from torch import Tensor

from parrot_models.networks.choices import Precision

# "float32": as asked for, or because the processor has no bfloat16 of its own, and would be slower;
# "matmul": torch rounds the factors of a float32 product itself, which pays with AMX and on a GPU;
# "autocast": layers read and write bfloat16, without which AVX512_BF16 gains nothing.
Products = Literal["float32", "matmul", "autocast"]


def products_of(precision: Precision, device: torch.device) -> Products:
    """How matrix products of a device get this precision."""
    if precision == "fp32" or not has_bfloat16(device):
        return "float32"
    if device.type != "cpu" or torch.cpu._is_amx_tile_supported():
        return "matmul"
    return "autocast"


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 faster than float32."""
    if device.type != "cpu":
        return True
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


@contextmanager
def products_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Let torch multiply float32 matrices at this precision, and as before afterwards.

    Only products are in lower precision; see `in_float32` for those that are not to be.
    """
    how = products_of(precision, device)
    if how == "autocast":
        # Without its cache: an optimizer may step inside, and weights are hardly read twice
        with torch.autocast(device.type, torch.bfloat16, cache_enabled=False):
            yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if how == "matmul" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def layers_in(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 in and out of a device's convolutions and linear layers for "bf16", else nothing.

    Other than `products_in` it reaches convolutions, and halves what they read and write.
    """
    is_low = dtype_in(precision, device) == torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=is_low)


def dtype_in(precision: Precision, device: torch.device) -> torch.dtype:
    """What frozen convolutions of a device read and write."""
    is_low = precision == "bf16" and has_bfloat16(device)
    return torch.bfloat16 if is_low else torch.float32


def in_float32(layer: Callable[..., Tensor], x: Tensor, *weights: Tensor) -> Tensor:
    """What a layer, or a function of x and weights, makes of x in float32.

    For what comes last: a value, a scale or a deviation is finer than bfloat16.
    """
    if not torch.is_autocast_enabled(x.device.type):
        return layer(x, *weights)
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float(), *weights)
