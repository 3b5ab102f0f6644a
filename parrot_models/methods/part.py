"""What methods are pre-trained as: where each part lies, what makes it, how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch

from parrot_models.networks.choices import Precision
from parrot_models.rl.pretrained import Pretrained

P_co = TypeVar("P_co", bound=Pretrained, covariant=True)


@dataclass(frozen=True)
class Part(Generic[P_co]):
    """A kind of pre-trained model.

    Attributes:
        name: of the part, and of its folder among the models.
        command: what makes it.
        load: reads it from its folder, frozen, onto a device; precision is that of `ActingPrior`.
        code: files and folders of parrot_models that say what it does and that other parts can do
            without: a change of these concerns nobody else.
    """

    name: str
    command: str
    load: Callable[[Path, torch.device, Precision], P_co]
    code: tuple[str, ...]
