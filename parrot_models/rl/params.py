"""What a user may vary about an agent, beside its method."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from parrot_data.section import (
    Count,
    NotNegative,
    Positive,
    Section,
    Share,
    SomeCount,
    Width,
    Widths,
)
from parrot_models.networks.choices import Precision

Observe = Literal["features", "image"]


class AgentParams(Section):
    """`finetune.agent` of params.yaml: all that makes an agent, beside its method.

    Attributes:
        observe: "features", the frozen ones of what was pre-trained in place of all images, or
            "image", each image through an encoder of the agent's own; vae_features and bc_sac see
            features in any case.
        encoder: kind of those encoders; read where `observe` is "image".
        encoder_dim: width of the output of each.
        latent_bound: half-width of the box of z, of methods that have one.
        last_latent_bound: the same at the end of a run of parrot_widening, whose box begins with
            latent_bound.
        reference_std: of the Gaussian N(0, reference_std^2 I) over z that the actor of parrot
            starts as and is held near; its warm-up is drawn from it too.
        target_kl_per_dim: nats a dimension of z that this actor is from it, once the temperature
            is tuned.
        candidates: draws of the actor that parrot_best chooses among, by its critics.
        edit_scale: the largest edit of parrot_edit to an action, in half-widths of the action box;
            of bounded actions that is in normalised ones, in [-1, 1].
        hold_steps: robot steps that an agent's action is held: a z is decoded anew in each of
            them, a robot's own action repeated. traj_rl and hirl have decision_steps in its place.
        decision_steps: most robot steps that a decision of traj_rl or hirl lasts; a trajectory may
            be shorter, an option end by itself.
        hidden: widths of the hidden layers of actor and critics.
        learning_rate: of actor, critics and temperature.
        polyak: share of the critics that their targets take over at every update.
        initial_temperature: weight of the entropy bonus at the start.
        target_entropy_per_dim: nats a dimension of the agent's action, scaled to [-1, 1].
        observation_noise: standard deviation of the noise on what networks see in updates.
        clone_weight: of KL(actor | clone) in the actor's loss of bc_sac, in reward a nat.
        precision: "bf16" or "fp32", of matrix products in updates, see `SAC`, and of the
            convolutions that encode an image, see `ActingPrior`.
    """

    observe: Observe
    encoder: Literal["fast", "paper"]
    encoder_dim: Width
    latent_bound: Positive
    last_latent_bound: Positive
    reference_std: Positive
    target_kl_per_dim: Positive
    candidates: SomeCount
    edit_scale: Share
    hold_steps: Count
    decision_steps: Count
    hidden: Widths
    learning_rate: Positive
    polyak: float = Field(gt=0, le=1)
    initial_temperature: Positive
    target_entropy_per_dim: float
    observation_noise: NotNegative
    clone_weight: NotNegative
    precision: Precision
