"""What no training starts from, and no result of one looks like."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parrot_data.errors import UserError
from parrot_data.stores.manifest import MANIFEST, ShardsManifest
from parrot_models.networks.observations import STD_FLOOR
from parrot_models.training.batches import Batches

SMALLEST_STD = 1e-3  # of a dimension of normalised actions: a flow divides by no less
LARGEST_SHARE = 0.9  # of a dimension's actions that may be one and the same number
# Nats a dimension. The densest says that a normalised action is known to the last bit of a
# float32; the thinnest is a hundred nats below the uniform density.
LIKELIEST, UNLIKELIEST = 16.6, -100.0
REMEDY = "train on episodes whose actions vary, with noise where a script makes them"
PER_DIM = "_per_dim"  # ends the names of metrics that are such densities, or bounds on one


def check_deviations(manifest: ShardsManifest, data: Path | str) -> None:
    """Refuse shards in which a dimension of the action is constant: its density has no bound.

    Args:
        manifest: of the shards.
        data: their folder, or its address, for the error.

    Raises:
        UserError: naming the dimension.
    """
    low, high = manifest.spec.action.low, manifest.spec.action.high
    for dim, std in enumerate(manifest.statistics.action.std):
        if low is None or high is None:
            least = STD_FLOOR
        else:
            least = SMALLEST_STD * 0.5 * (high[dim] - low[dim])
        if not std >= least:
            raise UserError(
                f"dimension {dim} of the actions in {data}/{MANIFEST} is constant (its standard "
                f"deviation is {std:.2g}, training needs {least:g}): {REMEDY}"
            )


def check_variety(batches: Batches, data: Path | str) -> None:
    """Refuse data in which nearly all actions share one number in a dimension.

    Raises:
        UserError: naming the dimension.
    """
    actions = np.asarray(batches.transitions.actions)
    for dim in range(actions.shape[1]):
        values, counts = np.unique(actions[:, dim], return_counts=True)
        share = counts.max() / len(actions)
        if share > LARGEST_SHARE:
            raise UserError(
                f"dimension {dim} of the actions in {data} is {values[counts.argmax()]:.4g} in "
                f"{share:.0%} of the transitions, which leaves a density nothing to learn: {REMEDY}"
            )


def check_metrics(metrics: Mapping[str, Any]) -> None:
    """Refuse metrics that are not finite, and likelihoods that no action has.

    Raises:
        UserError: naming the metric.
    """
    for name, value in _numbers(metrics):
        if not math.isfinite(value):
            raise UserError(
                f"training ended with {name} = {value}: lower its learning rate in params.yaml and "
                "run again"
            )
        if name.endswith(PER_DIM) and not UNLIKELIEST <= value <= LIKELIEST:
            raise UserError(
                f"training ended with {name} = {value:.4g} nats, outside of what actions can have "
                f"({UNLIKELIEST:g} to {LIKELIEST:g}): lower its learning rate in params.yaml, or "
                "train on data whose actions vary"
            )


def _numbers(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", float(value)
