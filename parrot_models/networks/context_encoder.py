"""The encoder of a density p(a | s): what it sees of a picture, besides proprioception."""

from __future__ import annotations

from parrot_data.errors import UserError
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.image_encoder import ImageEncoder, make_encoder

FOVEAL_WIDTH = 16


def make_context_encoder(
    encoder: str,
    image_size: int,
    feature_dim: int,
    window_dim: int,
    *,
    proprioception: bool,
    section: str,
) -> FovealEncoder | ImageEncoder:
    """Build an encoder with freshly drawn weights.

    Args:
        encoder: "foveal" (needs proprioception), "fast" or "paper".
        image_size: side of the pictures, pixels.
        feature_dim: width of its features; for "foveal" three a map, and window_dim.
        window_dim: how many of them show the window about the gripper; read for "foveal".
        proprioception: whether observations have it.
        section: where in params.yaml a user chose all this, for the errors.

    Raises:
        UserError: the foveal one lacks proprioception, or cannot have that many features.
    """
    if encoder != "foveal":
        return make_encoder(encoder, feature_dim)
    if not proprioception:
        raise UserError(
            f"{section}.encoder foveal looks where proprioception says the gripper is: set "
            f"environment.proprioception to true, or {section}.encoder to fast or paper"
        )
    map_features = feature_dim - window_dim
    if map_features % 3 or map_features <= 0:
        raise UserError(
            f"{section}.feature_dim must be window_dim and a multiple of 3 for the encoder foveal, "
            f"not {feature_dim} with {section}.window_dim {window_dim}"
        )
    return FovealEncoder(image_size, map_features // 3, FOVEAL_WIDTH, window_dim)
