"""Whether the batches of a training can be split among the processes that share it."""

from __future__ import annotations

from parrot_models.networks.params import EncoderParams, PredictedFovealParams
from parrot_models.training.params import KeypointParams, NoKeypoints, TrainingParams
from parrot_models.training.ranks import Ranks


def check_batches(
    params: TrainingParams,
    encoder: EncoderParams | None,
    keypoints: KeypointParams | None,
    ranks: Ranks,
    section: str,
) -> None:
    """Refuse batches that cannot be split into equal parts.

    Args:
        params: of the training.
        encoder: of its model, None for none; a pose head has batches of its own.
        keypoints: beside it, None for none.
        ranks: the processes.
        section: of the params, for errors.

    Raises:
        UserError: naming the key.
    """
    ranks.check_batch(params.batch_size, f"{section}.batch_size")
    if isinstance(encoder, PredictedFovealParams):
        ranks.check_batch(encoder.pose.batch_size, f"{section}.encoder.pose.batch_size")
    if keypoints is not None and not isinstance(keypoints, NoKeypoints):
        ranks.check_batch(keypoints.batch_size, "keypoints.batch_size")
