"""What a method of stage `pretrain` brings: its network, how it learns, how it is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from parrot_data.progress import Progress
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.prior.batches import TransitionBatches
from parrot_models.prior.fitting import Schedule
from parrot_models.prior.trained_folder import Trainable

WEIGHT_DECAY = 1e-3

Params = TypeVar("Params", bound="PretrainingParams")
Model = TypeVar("Model", bound=Trainable)


class PretrainingParams(BaseModel):
    """What every part of section `pretrain` has.

    Attributes:
        seed: of weights and batches.
        held_out_fraction: share of the episodes kept for validation.
        augment: whether to mirror scenes, shuffle colours and, but for "vae", paint objects.
        precision: "bf16" or "fp32" products in the layers that look at pictures.
        gradient_clip: largest norm of a gradient.
        log_every, checkpoint_every: steps between rows of the training's curve, and checkpoints.
        steps, batch_size, learning_rate: how the model is fitted.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seed: int = Field(ge=0)
    held_out_fraction: float = Field(gt=0, lt=1)
    augment: bool
    precision: Literal["bf16", "fp32"]
    gradient_clip: float = Field(gt=0)
    log_every: int = Field(ge=1)
    checkpoint_every: int = Field(ge=1)
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    learning_rate: float = Field(gt=0)

    def schedule(self) -> Schedule:
        """How the model is fitted."""
        return Schedule(
            self.steps, self.learning_rate, self.gradient_clip, WEIGHT_DECAY, self.checkpoint_every
        )

    def is_logged(self, step: int) -> bool:
        """Whether the curve has a row after this many steps."""
        return step % self.log_every == 0 or step == self.steps


class ContextParams(PretrainingParams):
    """What the parts have whose models make a context, and whose agents see keypoints beside it.

    Attributes:
        encoder, feature_dim, window_dim, context_dim: see `ContextArchitecture`.
        hidden: see the architecture of the part.
        rollout_seed, rollout_episodes: of the rollouts in scenes of unseen objects, per family.
        probe_scenes: scenes a linear probe is fitted and tested on, per task.
    """

    encoder: Literal["foveal", "fast", "paper"]
    feature_dim: int = Field(ge=1)
    window_dim: int = Field(ge=0)
    context_dim: int = Field(ge=1)
    hidden: list[int] = Field(min_length=1)
    rollout_seed: int = Field(ge=0)
    rollout_episodes: int = Field(ge=1)
    probe_scenes: int = Field(ge=10)

    def shapes(self, environment: EnvironmentParams) -> dict[str, Any]:
        """What these params say of an architecture that makes a context in this environment."""
        return {
            "image_size": environment.image_size,
            "proprioception": environment.proprioception,
            "encoder": self.encoder,
            "feature_dim": self.feature_dim,
            "window_dim": self.window_dim,
            "context_dim": self.context_dim,
            "hidden": self.hidden,
        }


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
