"""Specs of robots that nobody built, and observations and actions as they say."""

from __future__ import annotations

import numpy as np
import torch

from parrot_data.episodes.spec import (
    ActionSpec,
    ArraySpec,
    CameraSpec,
    EpisodeSpec,
    ImageSpec,
    MirrorSpec,
    ObservationSpec,
    ToolSpec,
    VectorSpec,
)

# A camera straight above: x to the right, y up, both as wide as they are.
ABOVE = CameraSpec(
    view=[1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, -1.0, 1.0],
    projection=[1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, -1.0, -1.0, 0, 0, -0.1, 0.0],
)


def spec_of(
    *,
    images: dict[str, tuple[int, int]] | None = None,
    vectors: dict[str, int] | None = None,
    action_dim: int = 4,
    bounds: tuple[float, float] | None = (-1.0, 1.0),
    has_tool: bool = False,
    has_mirror: bool = False,
) -> EpisodeSpec:
    """A spec; the tool is told by the first three numbers of the first vector."""
    images, vectors = images or {}, vectors or {}
    observations: dict[str, ObservationSpec] = {
        **{name: ImageSpec(height=h, width=w) for name, (h, w) in images.items()},
        **{name: VectorSpec(dim=dim) for name, dim in vectors.items()},
    }
    tool = ToolSpec(vector=min(vectors, default=""), position=[0, 1, 2], surface_height_m=0.0)
    signs = {name: [(-1.0) ** i for i in range(dim)] for name, dim in vectors.items()}
    return EpisodeSpec(
        observations=observations,
        action=ActionSpec(
            dim=action_dim,
            low=None if bounds is None else [bounds[0]] * action_dim,
            high=None if bounds is None else [bounds[1]] * action_dim,
        ),
        control_rate_hz=None,
        cameras=dict.fromkeys(images, ABOVE) if has_tool else {},
        tool=tool if has_tool else None,
        mirror=MirrorSpec(action=[(-1.0) ** i for i in range(action_dim)], vectors=signs)
        if has_mirror
        else None,
        privileged={},
    )


TABLETOP_LIKE = spec_of(
    images={"image": (48, 48)}, vectors={"proprioception": 8}, action_dim=7, has_tool=True,
    has_mirror=True,
)  # fmt: skip
# Images alone are seen; the data know where the tool is, and what a mirror does to that.
HIDDEN_TOOL = "pose"
IMAGES_ALONE = EpisodeSpec(
    observations={"image": ImageSpec(height=24, width=24)},
    action=ActionSpec(dim=3, low=[-1.0] * 3, high=[1.0] * 3),
    control_rate_hz=None,
    cameras={"image": ABOVE},
    tool=ToolSpec(vector=HIDDEN_TOOL, position=[1, 2, 3], surface_height_m=0.0),
    mirror=MirrorSpec(action=[-1.0, 1.0, 1.0], vectors={HIDDEN_TOOL: [1.0, -1.0, 1.0, 1.0]}),
    privileged={HIDDEN_TOOL: ArraySpec(dtype="float32", shape=[4])},
)
VECTORS_ALONE = spec_of(vectors={"state": 5, "goal": 3})
ONE_IMAGE = spec_of(images={"camera": (64, 64)}, action_dim=1)
TWO_IMAGES = spec_of(
    images={"front": (36, 52), "wrist": (25, 32)}, vectors={"joints": 6}, action_dim=14,
    bounds=None,
)  # fmt: skip
SPECS = {
    "tabletop-like": TABLETOP_LIKE,
    "vectors alone": VECTORS_ALONE,
    "one image": ONE_IMAGE,
    "two images, unbounded": TWO_IMAGES,
}


def encoder_for(spec: EpisodeSpec) -> dict[str, object]:
    """An encoder that every spec of these can have, as params say it."""
    return {"kind": "fast", "feature_dim": 6} if spec.images else {"kind": "vector"}


def some_observations(spec: EpisodeSpec, num: int, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    images = {k: rng.integers(0, 256, (num, *s.shape), np.uint8) for k, s in spec.images.items()}
    vectors = {k: rng.normal(size=(num, d)).astype(np.float32) for k, d in spec.vectors.items()}
    return {name: torch.from_numpy(array) for name, array in {**images, **vectors}.items()}


def some_actions(spec: EpisodeSpec, num: int, seed: int = 1) -> torch.Tensor:
    """Uniform between the bounds, or normal with other means and deviations in each dimension."""
    rng = np.random.default_rng(seed)
    if spec.action.low is not None and spec.action.high is not None:
        values = rng.uniform(spec.action.low, spec.action.high, (num, spec.action.dim))
    else:
        dims = np.arange(spec.action.dim)
        values = rng.normal(10.0 * dims, 1.0 + dims, (num, spec.action.dim))
    return torch.from_numpy(values.astype(np.float32))
