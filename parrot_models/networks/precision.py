"""The precision of matrix products, for as long as a block lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from parrot_models.networks.choices import Precision


@contextmanager
def products_in(precision: Precision) -> Iterator[None]:
    """Let torch multiply float32 matrices at this precision, and as before afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if precision == "bf16" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def layers_in(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 in and out of a device's convolutions and linear layers for "bf16", else nothing.

    Other than `products_in` it reaches convolutions, and halves what they read and write.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
