"""What a user may vary about every training on the shards."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer

from parrot_data.section import (
    BatchSize,
    Count,
    NotNegative,
    Positive,
    Section,
    Seed,
    Width,
    check_names,
)
from parrot_models.networks.choices import AugmentationName, Precision
from parrot_models.networks.params import (
    EncoderParams,
    KeypointArchitecture,
    PredictedFovealParams,
)

NUM_BUFFER_PARTS = 8  # of a stream's buffer; one of them is on its way


def _check_unlike(names: list[AugmentationName]) -> list[AugmentationName]:
    check_names(names, get_args(AugmentationName))
    return names


class Memmap(Section):
    """The Zarr store of a folder on this machine, decoded once: any transition at any time.

    Attributes:
        kind: "memmap".
    """

    kind: Literal["memmap"]


class Stream(Section):
    """The tars of a folder or an address (`s3://bucket/prefix`), read again and again.

    For data larger than memory and disk, or not on this machine. Batches are drawn from a buffer of
    episodes that moves through all tars, in another order in each epoch.

    Attributes:
        kind: "stream".
        buffer_episodes: episodes in memory, in each process, that batches are drawn from.
        cache_gb: of tars from elsewhere that are kept on this machine's disk, 10^9 bytes; 0 for
            none.
    """

    kind: Literal["stream"]
    buffer_episodes: int = Field(ge=NUM_BUFFER_PARTS, le=10**9)
    cache_gb: NotNegative = Field(exclude=True)  # nothing that is learned follows from it


Source = Annotated[Memmap | Stream, Field(discriminator="kind")]


class TrainingParams(Section):
    """What section `train_prior` and every part of section `pretrain` have.

    Attributes:
        seed: of weights and batches.
        source: how the shards are read, see `Memmap` and `Stream`.
        held_out_fraction: share of the episodes kept for validation.
        augment: what is done to batches, see `Augmentation`; none for none.
        observation_noise: standard deviation of the noise on vectors in training, in units of how
            much each of their numbers varies in the data.
        precision: "bf16" or "fp32" products in the layers that look at images.
        gradient_clip: largest norm of a gradient.
        log_every, checkpoint_every: steps between rows of the training's curve, and checkpoints.
        steps, batch_size, learning_rate: how the model is fitted.
    """

    seed: Seed
    source: Source
    held_out_fraction: float = Field(gt=0, lt=1)
    augment: Annotated[list[AugmentationName], AfterValidator(_check_unlike)]
    observation_noise: NotNegative
    precision: Precision
    gradient_clip: Positive
    log_every: Count
    checkpoint_every: Count
    steps: Count
    batch_size: BatchSize
    learning_rate: Positive

    @model_serializer(mode="wrap")
    def _without_memmap(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What was trained on a folder's store says nothing of sources."""
        values: dict[str, Any] = dump(self)
        if isinstance(self.source, Memmap):
            del values["source"]
        return values

    def is_logged(self, step: int) -> bool:
        """Whether the curve has a row after this many steps."""
        return step % self.log_every == 0 or step == self.steps


class ReconstructedKeypoints(Section):
    """Keypoints of every image, which learn by reconstruction: see `KeypointAutoencoder`.

    Attributes:
        kind: "reconstruction".
        num_keypoints, width, foreground_weight: see `KeypointAutoencoder`.
        steps, batch_size, learning_rate: how it is trained.
    """

    kind: Literal["reconstruction"]
    num_keypoints: Width
    width: Width
    foreground_weight: float = Field(ge=1)
    steps: Count
    batch_size: BatchSize
    learning_rate: Positive


class NoKeypoints(Section):
    """No keypoints: agents see the features of a model's own encoder alone.

    Attributes:
        kind: "none".
    """

    kind: Literal["none"]


# Section `keypoints` of params.yaml: of a prior's, and of those of the baselines.
KeypointParams = Annotated[ReconstructedKeypoints | NoKeypoints, Field(discriminator="kind")]


def keypoint_architecture(params: KeypointParams) -> KeypointArchitecture | None:
    """The keypoints that params ask for; None for none."""
    if isinstance(params, NoKeypoints):
        return None
    return KeypointArchitecture(num_keypoints=params.num_keypoints, width=params.width)


def check_source(source: Source, encoder: EncoderParams) -> None:
    """See that what a model needs comes out of where its data do.

    Raises:
        ValueError: it does not.
    """
    if isinstance(source, Stream) and isinstance(encoder, PredictedFovealParams):
        raise ValueError(
            "the encoder foveal_predicted learns from privileged arrays, which are not streamed: "
            "take the source memmap, or another encoder"
        )
