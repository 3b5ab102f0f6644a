"""What a user may vary about how images are looked at."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from parrot_data.section import BatchSize, Count, Positive, Section, Width


class FovealParams(Section):
    """An encoder that looks where the tool is, see `FovealEncoder`.

    Attributes:
        kind: "foveal".
        feature_dim: width of an image's features: three a map, and window_dim.
        window_dim: how many of them show the window about the tool; 0 is without one.
    """

    kind: Literal["foveal"]
    feature_dim: Width
    window_dim: int = Field(ge=0, le=65536)


class PoseParams(Section):
    """How the tool's position is learned from images, see `PoseHead`.

    Attributes:
        width: see `PoseHead`.
        steps, batch_size, learning_rate: how it is trained, before the model that looks there.
    """

    width: Width
    steps: Count
    batch_size: BatchSize
    learning_rate: Positive


class PredictedFovealParams(Section):
    """A foveal encoder that looks where the images show the tool: for data that do not tell it.

    Attributes:
        kind: "foveal_predicted".
        feature_dim, window_dim: as of `FovealParams`.
        pose: how the tool's position is learned.
    """

    kind: Literal["foveal_predicted"]
    feature_dim: Width
    window_dim: int = Field(ge=0, le=65536)
    pose: PoseParams


class ConvolutionalParams(Section):
    """An encoder that sees the image alone, see `fast_encoder` and `paper_encoder`.

    Attributes:
        kind: "fast" or "paper".
        feature_dim: width of an image's features.
    """

    kind: Literal["fast", "paper"]
    feature_dim: Width


class VectorParams(Section):
    """No encoder: observations are vectors alone.

    Attributes:
        kind: "vector".
    """

    kind: Literal["vector"]


EncoderParams = Annotated[
    FovealParams | PredictedFovealParams | ConvolutionalParams | VectorParams,
    Field(discriminator="kind"),
]


class KeypointArchitecture(Section):
    """All that determines the shapes of keypoints' weights, beside the images.

    Attributes:
        num_keypoints: points that each image is reduced to.
        width: channels of the hidden maps.
    """

    num_keypoints: Width
    width: Width
