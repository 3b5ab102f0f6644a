"""What a prior is built from."""

from __future__ import annotations

from dataclasses import dataclass

from parrot_models.networks.context_encoder import make_context_encoder
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.image_encoder import ImageEncoder


@dataclass(frozen=True)
class PriorArchitecture:
    """All that determines the shapes of a prior's weights.

    Attributes:
        image_size: side of the pictures, pixels.
        proprioception: whether the prior also reads the gripper's pose and opening.
        encoder: what conditions the flow: "foveal" (needs proprioception), "fast" or "paper".
        feature_dim, window_dim: see `make_context_encoder`.
        num_keypoints: points a picture is reduced to for the agent.
        keypoint_width: channels of the keypoint encoder.
        context_dim: width of the context.
        num_layers: coupling layers of the flow.
        hidden: widths of a conditioner's hidden layers.
        max_log_scale: bound on a coupling's log_scale.
    """

    image_size: int
    proprioception: bool
    encoder: str
    feature_dim: int
    window_dim: int
    num_keypoints: int
    keypoint_width: int
    context_dim: int
    num_layers: int
    hidden: list[int]
    max_log_scale: float


def make_flow_encoder(a: PriorArchitecture) -> FovealEncoder | ImageEncoder:
    """The encoder that conditions the flow.

    Raises:
        UserError: the foveal one lacks proprioception, or cannot have that many features.
    """
    return make_context_encoder(
        a.encoder, a.image_size, a.feature_dim, a.window_dim,
        proprioception=a.proprioception, section="train_prior",
    )  # fmt: skip
