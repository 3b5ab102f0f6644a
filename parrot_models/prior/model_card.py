"""The page that travels with a prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parrot_models.training.card_page import card_page, keypoints_fact

NAMES = {
    "affine": "A conditional RealNVP",
    "spline": "A conditional neural spline flow",
    "matching": "A conditional flow in continuous time",
}
NOTES = {
    "affine": "",
    "spline": "",
    "matching": """

f is one step of a second network that imitates the flow: it is not invertible, and `inverse_error`
says by how much. `log_prob_per_dim` is the density of the flow, integrated finely over time;
`distillation_error` is from its few steps to the one step, `integration_error` from few steps to
fine ones, both root mean squares in units of an action.""",
}


def model_card(lineage: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Markdown: what the prior is, what it was made from, how it did."""
    params, keypoints = lineage["params"]["train_prior"], lineage["params"]["keypoints"]
    flow = params["flow"]
    trained = "flow matching" if flow == "matching" else "maximum likelihood"
    about = f"""\
{NAMES[flow]} f(z; s) = a after PARROT (Singh et al., ICLR 2021): z ~ N(0, I) in 7
dimensions, s a {lineage["params"]["environment"]["image_size"]}-pixel picture, a a 7-D action of a
tabletop arm. Trained by {trained} on successful scripted episodes; the keypoints that
agents see were trained beside it by reconstruction.{NOTES[flow]}"""
    facts = [
        f"Flow: {_flow(params)}, encoder "
        f"`{params['encoder']}`, {params['steps']} steps of {params['batch_size']} transitions",
        keypoints_fact(keypoints),
    ]
    note = """\
Rollouts and probes are in scenes of two objects that the data never showed. `rollout_*` and
`random_*` without a family are means over both."""
    return card_page("Behavioral prior", about, lineage, facts, metrics, note)


def _flow(params: Mapping[str, Any]) -> str:
    if params["flow"] == "matching":
        matching = params["matching"]
        return (
            f"velocity and one step, hidden {matching['hidden']}, {matching['num_steps']} midpoint "
            f"steps, {matching['distillation_steps']} steps of distillation"
        )
    couplings = f"{params['num_layers']} {params['flow']} couplings, hidden {params['hidden']}"
    bins = f", {params['spline']['num_bins']} bins" if params["flow"] == "spline" else ""
    return couplings + bins
