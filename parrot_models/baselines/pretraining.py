"""What a method of stage `pretrain` brings, and the training of keypoints beside its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress, Scalars
from parrot_models.baselines.keypoints import WEIGHTS, keypoints_of
from parrot_models.baselines.params import ContextParams
from parrot_models.networks.stored import save_weights
from parrot_models.training.augment import augmentation_of
from parrot_models.training.batches import Batches
from parrot_models.training.keypoint_training import fit_keypoints
from parrot_models.training.params import KeypointParams, TrainingParams, keypoint_architecture
from parrot_models.training.pose_training import fit_pose, pose_metrics
from parrot_models.training.trained_folder import Trainable

Params = TypeVar("Params", bound=TrainingParams)
Model = TypeVar("Model", bound=Trainable)


@dataclass(frozen=True)
class Pretraining(Generic[Params, Model]):
    """A method's part of stage `pretrain`.

    Attributes:
        make: the model with freshly drawn weights, of params and the spec of the data.
        fit: train it, with checkpoints and the curve history.csv in the work folder.
        measure: what held-out data tell of the trained model, frozen; may leave images in the work
            folder.
        card: what the model is, in two sentences, for its model card.
    """

    make: Callable[[Params, EpisodeSpec], Model]
    fit: Callable[[Params, Model, Batches, Path, Progress, Scalars], None]
    measure: Callable[[Params, Model, Batches, Path, Progress], dict[str, Any]]
    card: str


def with_sight(
    pretraining: Pretraining[Any, Any], params: KeypointParams, method: str
) -> Pretraining[Any, Any]:
    """The same method, with what sees for its model and its agent.

    Where images have to show where the tool is, the model learns that first. Beside it, in the same
    folder, are keypoints for its agent, where params ask for them: they follow from data, seed and
    params alone, so that parts of one seed have the very same, and the model is what it would be
    without.

    Args:
        pretraining: of a model that makes a context; its params are `ContextParams`.
        params: of the keypoints.
        method: its name.
    """
    architecture = keypoint_architecture(params)

    def make(beside: ContextParams, spec: EpisodeSpec) -> Any:
        if architecture is not None:
            with torch.random.fork_rng(devices=[]):
                keypoints_of(architecture, spec)  # raises before anything is decoded
        return pretraining.make(beside, spec)

    def fit(
        beside: ContextParams,
        model: Any,
        batches: Batches,
        work: Path,
        tell: Progress,
        scalars: Scalars,
    ) -> None:
        seen = augmentation_of(beside.augment, batches.spec, f"pretrain.{method}")
        if architecture is not None:
            keypoints = keypoints_of(architecture, batches.spec)
            fit_keypoints(params, beside, keypoints, seen, batches, work, tell, scalars=scalars)
            if batches.ranks.is_first:
                save_weights(keypoints.state_dict(), work / WEIGHTS)
        fit_pose(beside.encoder, beside, model, seen, batches, work, tell, scalars=scalars)
        pretraining.fit(beside, model, batches, work, tell, scalars)

    def measure(
        beside: ContextParams, model: Any, batches: Batches, work: Path, tell: Progress
    ) -> dict[str, Any]:
        metrics = pretraining.measure(beside, model, batches, work, tell)
        return {**metrics, **pose_metrics(model.pose, batches)}

    return replace(pretraining, make=make, fit=fit, measure=measure)
