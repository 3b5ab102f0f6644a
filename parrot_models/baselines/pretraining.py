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
from parrot_models.training.batches import TransitionBatches
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
    fit: Callable[[Params, Model, TransitionBatches, Path, Progress, Scalars], None]
    measure: Callable[[Params, Model, TransitionBatches, Path, Progress], dict[str, Any]]
    card: str


def with_pose(pretraining: Pretraining[Any, Any], method: str) -> Pretraining[Any, Any]:
    """The same method, whose model learns first where images show the tool, if it has to.

    Args:
        pretraining: of a model that makes a context; its params are `ContextParams`.
        method: its name.
    """

    def fit(
        params: ContextParams,
        model: Any,
        batches: TransitionBatches,
        work: Path,
        tell: Progress,
        scalars: Scalars,
    ) -> None:
        augmentation = augmentation_of(params.augment, batches.spec, f"pretrain.{method}")
        fit_pose(params.encoder, params, model, augmentation, batches, work, tell, scalars=scalars)
        pretraining.fit(params, model, batches, work, tell, scalars)

    def measure(
        params: ContextParams, model: Any, batches: TransitionBatches, work: Path, tell: Progress
    ) -> dict[str, Any]:
        metrics = pretraining.measure(params, model, batches, work, tell)
        return {**metrics, **pose_metrics(model.pose, batches)}

    return replace(pretraining, fit=fit, measure=measure)


def with_keypoints(
    pretraining: Pretraining[Any, Any], params: KeypointParams, method: str
) -> Pretraining[Any, Any]:
    """The same method, and beside its model keypoints for its agent, in the same folder.

    They follow from data, seed and params alone, so that parts of one seed have the very same, and
    the model beside them is what it would be without.

    Args:
        pretraining: of a model that makes a context; its params are `ContextParams`.
        params: of the keypoints; with none the method is what it was.
        method: its name.
    """
    architecture = keypoint_architecture(params)
    if architecture is None:
        return pretraining

    def make(beside: ContextParams, spec: EpisodeSpec) -> Any:
        with torch.random.fork_rng(devices=[]):
            keypoints_of(architecture, spec)  # raises before anything is decoded
        return pretraining.make(beside, spec)

    def fit(
        beside: ContextParams,
        model: Any,
        batches: TransitionBatches,
        work: Path,
        tell: Progress,
        scalars: Scalars,
    ) -> None:
        keypoints = keypoints_of(architecture, batches.spec)
        augmentation = augmentation_of(beside.augment, batches.spec, f"pretrain.{method}")
        fit_keypoints(params, beside, keypoints, augmentation, batches, work, tell, scalars=scalars)
        save_weights(keypoints.state_dict(), work / WEIGHTS)
        pretraining.fit(beside, model, batches, work, tell, scalars)

    return replace(pretraining, make=make, fit=fit)
