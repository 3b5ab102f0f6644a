"""What a user may choose of networks, by name: here, as params are checked without torch."""

from __future__ import annotations

from typing import Literal

Precision = Literal["fp32", "bf16"]
Encoder = Literal["foveal", "fast", "paper"]
