"""Stage `train_prior`: from shards to a behavioral prior and to what its agents will see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from parrot_data.progress import Progress, silent
from parrot_data.stores.outputs.layout import output_of
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.flows.spline_coupling import MIN_SLOPE
from parrot_models.judging.prior import validate
from parrot_models.networks.device import CPU
from parrot_models.networks.stored import CONFIG
from parrot_models.prior.architecture import PriorArchitecture
from parrot_models.prior.behavioral_prior import WEIGHTS, BehavioralPrior
from parrot_models.prior.model_card import model_card
from parrot_models.prior.params import TrainPriorParams
from parrot_models.prior.training import fit_flow
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.keypoint_params import KeypointParams
from parrot_models.training.keypoint_training import fit_keypoints
from parrot_models.training.trained_folder import SCRATCH, WRITTEN, write_trained

__all__ = ["KeypointParams", "TrainPriorParams", "prior_architecture", "train_prior"]

OUTPUT = output_of(
    "train-prior", CONFIG, keys=("architecture", "params.train_prior"),
    files=(WEIGHTS, *WRITTEN), scratch=SCRATCH,
)  # fmt: skip


def train_prior(
    params: TrainPriorParams,
    keypoints: KeypointParams,
    environment: EnvironmentParams,
    data: Path,
    out: Path,
    *,
    device: torch.device = CPU,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train keypoints, then the flow, then judge both; all under `out`.

    Written: prior.safetensors, config.json, history.csv (the likelihood curve), metrics.json and
    README.md (the model card). An interrupted run resumes from `<out>.partial`.

    Args:
        params: what to train.
        keypoints: the same of what its agents will see.
        environment: the world the shards come from, for rollouts and probes.
        data: folder that `shard` wrote.
        out: folder of the result, replaced at the end.
        device: where to train; another one changes the last bits of what is learned.
        progress: told of every step.

    Returns:
        The metrics.

    Raises:
        UserError: a shard is missing or damaged, or training diverged.
    """

    def fit(prior: BehavioralPrior, batches: TransitionBatches, work: Path) -> None:
        weights = fit_keypoints(keypoints, params, batches, work, progress, device)
        prior.keypoints.load_state_dict(weights)
        prior.to(device)
        fit_flow(params, prior, batches, work, progress)

    return write_trained(
        make=lambda: BehavioralPrior(prior_architecture(params, keypoints, environment)),
        fit=fit,
        judge=lambda prior, batches, _work: validate(
            prior, batches, environment, params.rollout_seed, params.rollout_episodes,
            params.probe_scenes, progress,
        ),
        card=model_card,
        data=data,
        out=out,
        output=OUTPUT,
        made_from={
            "params": {
                "train_prior": params.model_dump(),
                "keypoints": keypoints.model_dump(),
                "environment": environment.model_dump(),
            }
        },
        stage=__name__,
        seed=params.seed,
        held_out_fraction=params.held_out_fraction,
        device=device,
        progress=progress,
    )  # fmt: skip


def prior_architecture(
    params: TrainPriorParams, keypoints: KeypointParams, environment: EnvironmentParams
) -> PriorArchitecture:
    """The prior that these params ask for."""
    return PriorArchitecture(
        image_size=environment.image_size,
        proprioception=environment.proprioception,
        encoder=params.encoder,
        feature_dim=params.feature_dim,
        window_dim=params.window_dim,
        num_keypoints=keypoints.num_keypoints,
        keypoint_width=keypoints.width,
        context_dim=params.context_dim,
        num_layers=params.num_layers,
        hidden=params.hidden,
        max_log_scale=params.max_log_scale,
        flow=params.flow,
        num_bins=params.spline.num_bins,
        bound=params.spline.bound,
        min_slope=MIN_SLOPE,
        velocity_hidden=params.matching.hidden,
        num_steps=params.matching.num_steps,
    )
