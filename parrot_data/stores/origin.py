"""Whence a dataset came: the params of what made it, and what it was edited from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parrot_data.stores.manifest import Ancestor, Parent


@dataclass(frozen=True)
class Origin:
    """What a manifest says of whence its dataset came; see `parrot_data.stores.manifest`."""

    params: Mapping[str, Any]
    seed: int
    parents: Sequence[Parent] = ()
    ancestors: Sequence[Ancestor] = ()
