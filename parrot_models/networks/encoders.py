"""Which encoder looks at the images of an observation, as params say and a spec allows."""

from __future__ import annotations

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.image_encoder import ImageEncoder, make_image_encoder
from parrot_models.networks.params import (
    EncoderParams,
    FovealParams,
    PredictedFovealParams,
    VectorParams,
)
from parrot_models.networks.pose_head import PoseHead

FOVEAL_CHANNELS = 16


def make_encoders(
    params: EncoderParams, spec: EpisodeSpec, section: str
) -> dict[str, FovealEncoder | ImageEncoder]:
    """Build an encoder for each image, with freshly drawn weights; none for vectors alone.

    Args:
        params: which.
        spec: of the observations.
        section: where in params.yaml a user chose all this, for the errors.

    Raises:
        UserError: the encoder needs what the spec lacks, or cannot have that many features.
    """
    if isinstance(params, VectorParams):
        if spec.images:
            raise UserError(
                f"{section}.encoder vector would not look at the images {_named(spec)}: choose "
                "foveal, fast or paper"
            )
        return {}
    if not spec.images:
        raise UserError(
            f"{section}.encoder {params.kind} needs images, and the data have vectors alone: set "
            f"{section}.encoder to {{kind: vector}}"
        )
    if isinstance(params, FovealParams | PredictedFovealParams):
        return {name: _foveal(params, spec, name, section) for name in spec.images}
    return {
        name: make_image_encoder(params.kind, image, params.feature_dim)
        for name, image in spec.images.items()
    }


def make_pose_head(params: EncoderParams, spec: EpisodeSpec) -> PoseHead | None:
    """What predicts where the tool is, with freshly drawn weights; None where nothing asks for it.

    Args:
        params: of encoders that `make_encoders` made.
        spec: of the observations.
    """
    if not isinstance(params, PredictedFovealParams):
        return None
    return PoseHead(spec.images, params.pose.width)


def _foveal(
    params: FovealParams | PredictedFovealParams, spec: EpisodeSpec, name: str, section: str
) -> FovealEncoder:
    lacking = [] if spec.tool else ["where the tool's position is told (tool)"]
    lacking += [] if name in spec.cameras else [f"the camera of the image {name} (cameras)"]
    if spec.tool is None or lacking:
        raise UserError(
            f"{section}.encoder {params.kind} looks where the tool is, and the data's spec does "
            f"not say {' nor '.join(lacking)}: set {section}.encoder to fast or paper"
        )
    if params.kind == "foveal" and not spec.tool_is_told:
        raise UserError(
            f"{section}.encoder foveal has to be told where the tool is, and of the data only the "
            f"privileged {spec.tool.vector} tells it: set {section}.encoder to foveal_predicted, "
            "fast or paper"
        )
    if params.kind == "foveal_predicted" and spec.tool_is_told:
        raise UserError(
            f"{section}.encoder foveal_predicted guesses where the tool is, and the observation "
            f"{spec.tool.vector} tells it: set {section}.encoder to foveal"
        )
    map_features = params.feature_dim - params.window_dim
    if map_features % 3 or map_features <= 0:
        raise UserError(
            f"{section}.encoder.feature_dim must be window_dim and a multiple of 3 for the encoder "
            f"{params.kind}, not {params.feature_dim} with a window_dim of {params.window_dim}"
        )
    return FovealEncoder(
        spec.images[name], spec.cameras[name], spec.tool.surface_height_m, map_features // 3,
        FOVEAL_CHANNELS, params.window_dim,
    )  # fmt: skip


def _named(spec: EpisodeSpec) -> str:
    return ", ".join(spec.images)
