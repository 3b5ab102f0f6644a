"""The page that travels with a prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def model_card(lineage: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Markdown: what the prior is, what it was made from, how it did."""
    params = lineage["params"]["train_prior"]
    rows = "\n".join(f"| {name} | {_shown(value)} |" for name, value in sorted(metrics.items()))
    return f"""# Behavioral prior

A conditional RealNVP f(z; s) = a after PARROT (Singh et al., ICLR 2021): z ~ N(0, I) in 7
dimensions, s a {lineage["params"]["environment"]["image_size"]}-pixel picture, a a 7-D action of a
tabletop arm. Trained by maximum likelihood on successful scripted episodes; the keypoints that
agents see were trained beside it by reconstruction.

- Data: manifest SHA-256 `{lineage["data_manifest_sha256"]}`
- Flow: {params["num_layers"]} affine couplings, hidden {params["hidden"]}, encoder \
`{params["encoder"]}`, {params["steps"]} steps of {params["batch_size"]} transitions
- Keypoints: {params["num_keypoints"]}, {params["keypoint_steps"]} steps of \
{params["keypoint_batch_size"]} pictures

| metric | value |
|---|---|
{rows}

Rollouts and probes are in scenes of two objects that the data never showed. `rollout_*` and
`random_*` without a family are means over both. Not for use on a real robot.
"""


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(v)}" for name, v in sorted(value.items()))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
