"""Whether numbers are numbers: training that went astray must not look like a result."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from parrot_data.errors import UserError


def check_weights(weights: Mapping[str, Tensor], what: str) -> None:
    """Refuse weights that are not finite.

    Args:
        weights: a state dict.
        what: they are and when, the sentence's subject.

    Raises:
        UserError: naming the first that is not.
    """
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(
                f"{what} diverged: {name} holds numbers that are not finite; lower its "
                "learning_rate in params.yaml and run again"
            )


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
            raise UserError(
                f"the {name.replace('_', ' ')} became {value} {where}; lower its learning_rate or "
                "gradient_clip in params.yaml and run again"
            )
