"""What all sections of params.yaml have in common: strict models, and values within bounds.

A bound is where no machine would follow, so that a slip of the keyboard is told as such and neither
fills the memory nor overflows an integer of a library.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MOST_SEED = 2**63 - 1  # what numpy, torch and a JSON reader all take
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Count = Annotated[int, Field(ge=1, le=10**9)]  # of episodes, steps, files
CountOrNone = Annotated[int, Field(ge=0, le=10**9)]
SomeCount = Annotated[int, Field(ge=1, le=1024)]  # of what is made or kept at once
BatchSize = Annotated[int, Field(ge=2, le=2**20)]
Width = Annotated[int, Field(ge=1, le=2**16)]  # of a layer
Widths = Annotated[list[Width], Field(min_length=1, max_length=64)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def check_names(names: Collection[str], known: Collection[str]) -> None:
    """See that a list holds names of something that there is, none of them twice.

    Raises:
        ValueError: it does not.
    """
    for name in names:
        if name not in known:
            raise ValueError(f"{name[:60]!r} is none of {', '.join(known)}")
    if len(set(names)) < len(names):
        raise ValueError("a name stands there twice")


def _check_seeds(seeds: list[str]) -> list[str]:
    for seed in seeds:
        # Of one spelling: a seed is part of a path, and of a command
        if not (seed.isascii() and seed.isdecimal() and str(int(seed[:20])) == seed):
            raise ValueError(
                f'a seed is a number of 0 or more in quotes, such as "0", not {seed!r}'
            )
        if int(seed) > MOST_SEED:
            raise ValueError(f"a seed is at most {MOST_SEED}, not {seed}")
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed stands there twice")
    return seeds


Seeds = Annotated[list[str], AfterValidator(_check_seeds)]  # as strings, of which paths are made


class Section(BaseModel):
    """A section of params.yaml, or a part of one: no defaults, no unknown key, no NaN."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
