"""What a user may vary about keypoints, which a prior and the baselines have alike."""

from __future__ import annotations

from pydantic import Field

from parrot_data.section import BatchSize, Count, Positive, Section, Width


class KeypointParams(Section):
    """Section `keypoints` of params.yaml: of a prior's, and of those of the baselines.

    Attributes:
        num_keypoints, width, foreground_weight: see `KeypointAutoencoder`.
        steps, batch_size, learning_rate: how it is trained.
    """

    num_keypoints: Width
    width: Width
    foreground_weight: float = Field(ge=1)
    steps: Count
    batch_size: BatchSize
    learning_rate: Positive
