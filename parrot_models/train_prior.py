"""Stage `train_prior`: from shards to a behavioral prior and to what its agents will see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress, Scalars, silent, unheard
from parrot_data.stores.outputs.layout import output_of
from parrot_models.cards.prior_card import prior_card
from parrot_models.networks.device import CPU
from parrot_models.networks.stored import CONFIG
from parrot_models.prior.architecture import prior_architecture
from parrot_models.prior.behavioral_prior import WEIGHTS, BehavioralPrior
from parrot_models.prior.measures import measure
from parrot_models.prior.params import TrainPriorParams
from parrot_models.prior.training import fit_flow
from parrot_models.training.augment import augmentation_of
from parrot_models.training.batches import Batches
from parrot_models.training.keypoint_training import fit_keypoints
from parrot_models.training.params import KeypointParams
from parrot_models.training.pose_training import fit_pose, pose_metrics
from parrot_models.training.ranks import ALONE, Ranks
from parrot_models.training.splitting import check_batches
from parrot_models.training.trained_folder import SCRATCH, WRITTEN, write_trained

__all__ = ["KeypointParams", "TrainPriorParams", "train_prior"]

OUTPUT = output_of(
    "train-prior", CONFIG, keys=("architecture", "params.train_prior"),
    files=(WEIGHTS, *WRITTEN), scratch=SCRATCH,
)  # fmt: skip


def train_prior(
    params: TrainPriorParams,
    keypoints: KeypointParams,
    data: Path | str,
    out: Path,
    *,
    device: torch.device = CPU,
    progress: Progress = silent,
    scalars: Scalars = unheard,
    ranks: Ranks = ALONE,
) -> dict[str, Any]:
    """Train keypoints, then the flow, then measure both on held-out data; all under `out`.

    Before the flow comes the pose head, where the encoder has one.

    Written: prior.safetensors, config.json, history.csv (the likelihood curve), metrics.json,
    README.md (the model card) and the seal. An interrupted run resumes from `<out>.partial`.

    Args:
        params: what to train.
        keypoints: the same of what its agents will see.
        data: folder that `shard` wrote; where `params.source` is a stream, or its address.
        out: folder of the result, replaced at the end.
        device: where to train; another one changes the last bits of what is learned.
        progress: called after every step.
        scalars: called with losses and what is measured, every `log_every` steps.
        ranks: the processes that train it together, `batch_size` being that of all of them.

    Returns:
        The metrics; none in other processes than the first.

    Raises:
        UserError: a shard is missing or damaged, the data's spec lacks what params ask for, or
            training diverged.
    """

    def make(spec: EpisodeSpec) -> BehavioralPrior:
        check_batches(params, params.encoder, keypoints, ranks, "train_prior")
        augmentation_of(params.augment, spec, "train_prior")
        return BehavioralPrior(prior_architecture(params, keypoints, spec))

    def fit(prior: BehavioralPrior, batches: Batches, work: Path) -> None:
        augmentation = augmentation_of(
            params.augment, batches.spec, "train_prior", params.observation_noise
        )
        fit_keypoints(
            keypoints, params, prior.keypoints, augmentation, batches, work, progress, device,
            scalars,
        )  # fmt: skip
        fit_pose(
            params.encoder, params, prior, augmentation, batches, work, progress, device, scalars
        )
        prior.to(device)
        fit_flow(params, prior, augmentation, batches, work, progress, scalars)

    return write_trained(
        make=make,
        fit=fit,
        measure=lambda prior, batches, _work: {
            **measure(prior, batches, params.seed, progress),
            **pose_metrics(prior.pose, batches),
        },
        card=prior_card,
        data=data,
        out=out,
        output=OUTPUT,
        made_from={
            "params": {"train_prior": params.model_dump(), "keypoints": keypoints.model_dump()}
        },
        params=params,
        stage=__name__,
        device=device,
        progress=progress,
        ranks=ranks,
    )
