"""Whether numbers are numbers: training that went astray must not look like a result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.errors import UserError

REMEDY = "lower its learning rate in params.yaml and run again"


def check_weights(weights: Mapping[str, Tensor], what: str) -> None:
    """Refuse weights that are not finite.

    Args:
        weights: a state dict.
        what: they are of, "the agent" or "training (flow) by step 3".

    Raises:
        UserError: naming the first that is not.
    """
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(f"{what} diverged: its weights {name} are not all finite; {REMEDY}")


def check_values(values: Mapping[str, float], where: str) -> None:
    """Refuse quantities of a training that are not finite.

    Args:
        values: by name; reading tensors here would wait for a GPU.
        where: at which step of what, as in "at step 3 of training (flow)".

    Raises:
        UserError: naming the first that is not.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise UserError(f"{name.replace('_', ' ')} became {value} {where}; {REMEDY}")


def check_actions(actions: NDArray[Any], where: str) -> None:
    """Refuse actions of a policy that are not finite.

    Args:
        actions: (..., A).
        where: as for `check_values`.

    Raises:
        UserError: some are not.
    """
    if not np.isfinite(actions).all():
        raise UserError(f"the agent's actions are not all finite {where}; {REMEDY}")
