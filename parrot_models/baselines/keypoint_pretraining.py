"""How a baseline comes by its keypoints, and what its agent can tell from them and its context."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parrot_data.progress import Progress
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines.keypoints import load_keypoints, save_keypoints
from parrot_models.baselines.params import ContextParams
from parrot_models.baselines.pretraining import Pretraining
from parrot_models.judging.probe import encoded, probe_errors_cm
from parrot_models.networks.chance import torch_seed
from parrot_models.networks.context_model import ContextModel
from parrot_models.networks.keypoints import KeypointEncoder
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.keypoint_params import KeypointParams
from parrot_models.training.keypoint_training import fit_keypoints


def with_keypoints(
    pretraining: Pretraining[Any, Any], params: KeypointParams, method: str
) -> Pretraining[Any, Any]:
    """The same method, and beside its model keypoints for its agent, judged with it.

    Args:
        pretraining: of a model that makes a context; its params are `ContextParams`.
        params: of the keypoints.
        method: its name.
    """

    def fit(
        beside: ContextParams, model: Any, batches: TransitionBatches, work: Path, tell: Progress
    ) -> None:
        _pretrain_keypoints(params, beside, batches, work, tell)
        pretraining.fit(beside, model, batches, work, tell)

    def judge(
        beside: ContextParams, model: Any, batches: TransitionBatches,
        environment: EnvironmentParams, work: Path, tell: Progress,
    ) -> dict[str, Any]:  # fmt: skip
        metrics = pretraining.judge(beside, model, batches, environment, work, tell)
        seen = load_keypoints(work, method)
        return metrics | _judge_what_is_seen(beside, model, seen, environment, tell)

    return replace(pretraining, fit=fit, judge=judge)


def _pretrain_keypoints(
    params: KeypointParams,
    beside: ContextParams,
    batches: TransitionBatches,
    work: Path,
    progress: Progress,
) -> None:
    """Train the keypoints of a part and write them into its folder; see `fit_keypoints`.

    They follow from data, seed and params alone, so that parts of one seed have the very same, and
    the model beside them is what it would be without.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(beside.seed, "keypoints beside a part: weights"))
        weights = fit_keypoints(params, beside, batches, work, progress)
    save_keypoints(weights, work)


def _judge_what_is_seen(
    params: ContextParams,
    model: ContextModel,
    keypoints: KeypointEncoder,
    environment: EnvironmentParams,
    progress: Progress,
) -> dict[str, Any]:
    """Errors of linear probes on what the part's agent sees, and on either half: `probe_error_cm`.

    Named as a prior's are; both model and keypoints are frozen.
    """

    def seen(images: Tensor, proprioception: Tensor) -> Tensor:
        return torch.cat([model.context(images, proprioception), keypoints(images)], -1)

    encoders = {
        "agent_features": encoded(seen, model.device),
        "keypoints": encoded(lambda images, _p: keypoints(images), model.device),
        "context": encoded(model.context, model.device),
    }
    progress(1, 1, "linear probes")
    errors = probe_errors_cm(environment, encoders, params.rollout_seed, params.probe_scenes)
    return {"probe_error_cm": errors}
