"""Kinds of processors, as torch tells them apart; any of them runs what another is brought to."""

from __future__ import annotations

import pytest
import torch

# Whether it has AMX, and AVX512_BF16
PROCESSORS = {"AMX": (True, True), "AVX512_BF16": (False, True), "neither": (False, False)}


def processor(patch: pytest.MonkeyPatch, has_amx: bool, has_avx512_bf16: bool) -> None:
    """Let torch find such a processor."""
    patch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx)
    patch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_avx512_bf16)
