"""What all sections of params.yaml have in common: strict models, and values within bounds.

A bound is where no machine would follow, so that a slip of the keyboard is told as such and neither
fills the memory nor overflows an integer of a library.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_SEED = 2**63 - 1  # what numpy, torch and a JSON reader all take
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Count = Annotated[int, Field(ge=1, le=10**9)]  # of episodes, steps, files
CountOrNone = Annotated[int, Field(ge=0, le=10**9)]
BatchSize = Annotated[int, Field(ge=2, le=2**20)]
Width = Annotated[int, Field(ge=1, le=2**16)]  # of a layer
Widths = Annotated[list[Width], Field(min_length=1, max_length=64)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A section of params.yaml, or a part of one: no defaults, no unknown key, no NaN."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
