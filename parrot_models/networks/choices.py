"""What a user may choose of networks and data by name; without torch, as params are checked so."""

from __future__ import annotations

from typing import Literal

Precision = Literal["fp32", "bf16"]
AugmentationName = Literal["mirror", "colors"]
