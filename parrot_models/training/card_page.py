"""The page that travels with a trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parrot_data.episodes.spec import EpisodeSpec, ImageSpec


def card_page(
    title: str,
    about: str,
    lineage: Mapping[str, Any],
    facts: Sequence[str],
    metrics: Mapping[str, Any],
    note: str,
) -> str:
    """Markdown: what the model is, what it was made from, how it did.

    Args:
        title: the model's name.
        about: what it is, a few sentences.
        lineage: with the data's hash.
        facts: how it was made, one a line.
        metrics: numbers, or tables of numbers, by name.
        note: what to know when reading the metrics.
    """
    made = "\n".join(
        f"- {fact}"
        for fact in [f"Data: manifest SHA-256 `{lineage['data_manifest_sha256']}`", *facts]
    )
    rows = "\n".join(f"| {name} | {_shown(value)} |" for name, value in sorted(metrics.items()))
    return f"""# {title}

{about}

{made}

| metric | value |
|---|---|
{rows}

{note} Not for use on a real robot without a safety layer of its own.
"""


def keypoints_fact(params: Mapping[str, Any]) -> str:
    """How keypoints were made, of a dump of `KeypointParams`."""
    if params["kind"] == "none":
        return "Keypoints: none"
    return (
        f"Keypoints: {params['num_keypoints']} an image, {params['steps']} steps of "
        f"{params['batch_size']} images"
    )


def pose_facts(params: Mapping[str, Any]) -> list[str]:
    """How a model knows where the tool is, of a dump of its params; nothing where it is told."""
    encoder = params.get("encoder", {})
    if encoder.get("kind") != "foveal_predicted":
        return []
    pose = encoder["pose"]
    return [
        "The tool's position: predicted from images, learned from what the data know in "
        f"{pose['steps']} steps of {pose['batch_size']} transitions"
    ]


def sees_fact(spec: EpisodeSpec) -> str:
    """What a model observes and does, in one line."""
    observed = [
        f"image `{name}` {each.height} x {each.width}"
        if isinstance(each, ImageSpec)
        else f"vector `{name}` of {each.dim}"
        for name, each in sorted(spec.observations.items())
    ]
    bounds = "without bounds" if spec.action.low is None else "within bounds"
    return f"Observations: {', '.join(observed)}; actions: {spec.action.dim}-D, {bounds}"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(v)}" for name, v in sorted(value.items()))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
