"""The page that travels with a prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parrot_models.prior.card_page import card_page


def model_card(lineage: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Markdown: what the prior is, what it was made from, how it did."""
    params = lineage["params"]["train_prior"]
    about = f"""\
A conditional RealNVP f(z; s) = a after PARROT (Singh et al., ICLR 2021): z ~ N(0, I) in 7
dimensions, s a {lineage["params"]["environment"]["image_size"]}-pixel picture, a a 7-D action of a
tabletop arm. Trained by maximum likelihood on successful scripted episodes; the keypoints that
agents see were trained beside it by reconstruction."""
    facts = [
        f"Flow: {params['num_layers']} affine couplings, hidden {params['hidden']}, encoder "
        f"`{params['encoder']}`, {params['steps']} steps of {params['batch_size']} transitions",
        f"Keypoints: {params['num_keypoints']}, {params['keypoint_steps']} steps of "
        f"{params['keypoint_batch_size']} pictures",
    ]
    note = """\
Rollouts and probes are in scenes of two objects that the data never showed. `rollout_*` and
`random_*` without a family are means over both."""
    return card_page("Behavioral prior", about, lineage, facts, metrics, note)
