"""The card of a prior: metadata for the hub, its use and limits, and how to load it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parrot_data.cards.front_matter import LIBRARY, TAGS, UNKNOWN_LICENSE, front_matter
from parrot_data.episodes.spec import EpisodeSpec
from parrot_models.prior.model_card import model_card

OF_A_PRIOR = """\
## Use

Meant to start reinforcement learning from: an agent chooses z, and f(z; s) is an action that
somebody might have meant (`parrot finetune --prior DIR`, or `LatentEnv` for the agents of
another library). Only on a robot whose observations and actions are those above, which is
checked; the nearer a task is to the data, the better.

```python
from pathlib import Path

import torch

from parrot_models.prior.behavioral_prior import BehavioralPrior

prior = BehavioralPrior.load(Path("."))  # this folder
prior.spec.observations, prior.spec.action.dim
z = torch.zeros(1, prior.latent_dim)  # its mode; prior.decode(z, context) is an action
```

## Limits

It knows no task: by itself it does what was often done in the data. In situations that no data
show its actions mean nothing, and nothing in them is known to be safe. Whether it helps on a
task, `parrot audit` says by demonstrations, and agents by learning.

## Lineage

`config.json` holds the params and the hash of the data's manifest, `SHA256SUMS` that of each
file here; `parrot info` shows the chain."""


def prior_card(
    spec: EpisodeSpec,
    lineage: Mapping[str, Any],
    metrics: Mapping[str, Any],
    license_id: str = UNKNOWN_LICENSE,
) -> str:
    """README.md of a prior: the model card of `train_prior`, for the hub and with its use.

    Args:
        spec: of the data.
        lineage: params and the hash of the data, as in config.json.
        metrics: as in metrics.json.
        license_id: of the weights, as the hub spells it.
    """
    flow = lineage["params"]["train_prior"]["flow"]
    metadata = front_matter({
        "license": license_id,
        "library_name": LIBRARY,
        "pipeline_tag": "robotics",
        "tags": [*TAGS, "behavioral-prior", "normalizing-flow", flow],
    })  # fmt: skip
    return f"{metadata}\n{model_card(spec, lineage, metrics).rstrip()}\n\n{OF_A_PRIOR}\n"
