"""What a method of stage `pretrain` brings: its network, how it learns, how it is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from parrot_data.progress import Progress
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines.params import PretrainingParams
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.fitting import Schedule
from parrot_models.training.trained_folder import Trainable

WEIGHT_DECAY = 1e-3

Params = TypeVar("Params", bound=PretrainingParams)
Model = TypeVar("Model", bound=Trainable)


def schedule_of(params: PretrainingParams) -> Schedule:
    """How the params of a part say that its model is fitted."""
    return Schedule(
        params.steps,
        params.learning_rate,
        params.gradient_clip,
        WEIGHT_DECAY,
        params.checkpoint_every,
    )


@dataclass(frozen=True)
class Pretraining(Generic[Params, Model]):
    """A method's part of stage `pretrain`.

    Attributes:
        make: the model with freshly drawn weights, of params and the environment.
        fit: train it, with checkpoints and the curve history.csv in the work folder.
        judge: metrics of the trained model, frozen; may leave pictures in the work folder.
        card: what the model is, in two sentences, for its model card.
    """

    make: Callable[[Params, EnvironmentParams], Model]
    fit: Callable[[Params, Model, TransitionBatches, Path, Progress], None]
    judge: Callable[
        [Params, Model, TransitionBatches, EnvironmentParams, Path, Progress], dict[str, Any]
    ]
    card: str
