"""What a method of stage `pretrain` brings, and the keypoints that stand beside its model.

A prior's agent sees keypoints beside what its flow sees. The same, trained in the same way on the
same images, is due to the agents of its rivals; that they have their own keeps them apart from the
flow. They are no part of the model: no paper says what its agent should see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from pydantic import TypeAdapter

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress
from parrot_data.stores.publish import read_json
from parrot_models.baselines.params import ContextParams
from parrot_models.networks.keypoints import Keypoints
from parrot_models.networks.params import KeypointArchitecture
from parrot_models.networks.stored import CONFIG, SPEC, load_model, save_weights
from parrot_models.training.augment import augmentation_of
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.keypoint_training import fit_keypoints
from parrot_models.training.params import KeypointParams, TrainingParams, keypoint_architecture
from parrot_models.training.trained_folder import Trainable

WEIGHTS = "keypoints.safetensors"

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
    fit: Callable[[Params, Model, TransitionBatches, Path, Progress], None]
    measure: Callable[[Params, Model, TransitionBatches, Path, Progress], dict[str, Any]]
    card: str


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
            _keypoints_of(architecture, spec)  # raises before anything is decoded
        return pretraining.make(beside, spec)

    def fit(
        beside: ContextParams, model: Any, batches: TransitionBatches, work: Path, tell: Progress
    ) -> None:
        keypoints = _keypoints_of(architecture, batches.spec)
        augmentation = augmentation_of(beside.augment, batches.spec, f"pretrain.{method}")
        fit_keypoints(params, beside, keypoints, augmentation, batches, work, tell)
        save_weights(keypoints.state_dict(), work / WEIGHTS)
        pretraining.fit(beside, model, batches, work, tell)

    return replace(pretraining, make=make, fit=fit)


def load_keypoints(folder: Path, method: str) -> Keypoints | None:
    """Read the keypoints of a part, frozen and in evaluation mode; None where it was to have none.

    Args:
        folder: that `pretrain` wrote.
        method: for which.

    Raises:
        UserError: config or weights are missing, unreadable or do not fit each other.
    """
    if _has_none(read_json(folder / CONFIG)):
        return None
    name, command = "keypoints for an agent to see", f"parrot pretrain --method {method}"
    return load_model(_of_config, folder, WEIGHTS, name, command)


def _has_none(config: Any) -> bool:
    try:
        return bool(config["params"]["keypoints"] == {"kind": "none"})
    except (KeyError, TypeError):
        return False  # what is wrong with it, `load_model` says


def _of_config(config: Mapping[str, Any]) -> Keypoints:
    spec = EpisodeSpec.model_validate(config[SPEC])
    params: KeypointParams = TypeAdapter(KeypointParams).validate_python(
        config["params"]["keypoints"]
    )
    architecture = keypoint_architecture(params)
    if architecture is None:
        raise ValueError("it has no keypoints")
    return _keypoints_of(architecture, spec)


def _keypoints_of(architecture: KeypointArchitecture, spec: EpisodeSpec) -> Keypoints:
    return Keypoints(spec.images, architecture.num_keypoints, architecture.width)
