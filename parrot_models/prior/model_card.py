"""The page that travels with a prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parrot_data.episodes.spec import EpisodeSpec
from parrot_models.training.card_page import card_page, keypoints_fact, pose_facts, sees_fact

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
fine ones, both root mean squares in units of a normalised action.""",
}
SCALES = {
    True: "from the bounds of each dimension to [-1, 1]",
    False: "to mean 0 and standard deviation 1 over the data, as actions have no bounds",
}


def model_card(spec: EpisodeSpec, lineage: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Markdown: what the prior is, what it was made from, how it did."""
    params, keypoints = lineage["params"]["train_prior"], lineage["params"]["keypoints"]
    flow = params["flow"]
    trained = "flow matching" if flow == "matching" else "maximum likelihood"
    beside = (
        "" if keypoints["kind"] == "none"
        else "; the keypoints that agents\nsee were trained beside it by reconstruction"
    )  # fmt: skip
    about = f"""\
{NAMES[flow]} f(z; s) = a after PARROT (Singh et al., ICLR 2021): z ~ N(0, I) as wide as an
action a, s an observation. Trained by {trained} on the data's episodes{beside}.{NOTES[flow]}"""
    facts = [
        sees_fact(spec),
        f"Flow: {_flow(flow, params['flows'][flow])}, encoder `{params['encoder']['kind']}`, "
        f"{params['steps']} steps of {params['batch_size']} transitions",
        keypoints_fact(keypoints),
        *pose_facts(params),
    ]
    scale = SCALES[spec.action.low is not None]
    note = f"""\
All metrics are of held-out episodes and of normalised actions: {scale}.
How the prior does in a world, `parrot judge` tells."""
    return card_page("Behavioral prior", about, lineage, facts, metrics, note)


def _flow(kind: str, params: Mapping[str, Any]) -> str:
    if kind == "matching":
        return (
            f"velocity and one step, hidden {params['hidden']}, {params['num_steps']} midpoint "
            f"steps, {params['distillation_steps']} steps of distillation"
        )
    bins = f", {params['num_bins']} bins" if kind == "spline" else ""
    return f"{params['num_layers']} {kind} couplings, hidden {params['hidden']}{bins}"
