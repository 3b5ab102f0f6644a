"""Options discovered in demonstrations: what HIRL, a baseline of PARROT, acts with.

Temporal variational inference (Shankar and Gupta 2020, "Learning Robot Skills with Temporal
Variational Inference", code in facebookresearch/CausalSkillLearning). A demonstration is a sequence
of options: option z begins where b_t = 1 and lasts until the next boundary. Training raises, with a
posterior q(b, z | trajectory), the bound

    E_q sum_t [ log p(a_t | s_t, z_t) - w b_t KL(q(z_t) | N(0, I)) ] - c KL(mean of q(b) | 1 / K)

PARROT (Singh et al. 2021) learns the high-level policy by RL over z, as we do. What the papers
leave open or we do otherwise:

- q reads vectors and actions of all steps, as the original, whose trajectories hold no images.
  Only the low-level policy p(a | s, z) looks: z need not say where an object is, only which one to
  take and how. That policy is a Gaussian no sharper than demonstrations tend to be: were it
  sharper, z would spend itself on their noise.
- The original samples b and learns it by REINFORCE. Here b is a relaxed sample with hard values
  (binary concrete, straight through) in z_t = b_t z'_t + (1 - b_t) z_{t-1}: Kim et al. (2019),
  "Variational Temporal Abstraction".
- The original bounds the length of an option by hand. Here K, the mean length, is given, and c is
  large: q decides where options begin but hardly how often. With a prior on every single b instead,
  each step became an option of its own.
- The original learns a prior of z given the past. Here it is N(0, I), from which RL over z starts,
  and w, below 1, grows from zero: at w = 1 the policy did without z.
- p(b_t | s_t, z_{t-1}), which says while acting when an option is over, is fitted by maximum
  likelihood to q's boundaries, and nothing but its own head learns from that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from parrot_data.section import Width, Widths
from parrot_models.networks.context_model import ContextArchitecture, ContextModel
from parrot_models.networks.gaussian import bounded_log_std
from parrot_models.networks.mlp import mlp
from parrot_models.networks.observations import Observations, VectorScale
from parrot_models.networks.stored import architecture_of, load_model, save_model

ENDS_WIDTH = 64
TEMPERATURE = 0.7  # of the relaxed boundaries
LATENT_LOG_STD_RANGE = (-5.0, 1.0)
# Of a normalised action. What is finer than noise of a demonstration is not worth a word of z.
LOG_STD_RANGE = (math.log(0.1), 0.0)
WEIGHTS = "options.safetensors"

V = TypeVar("V")  # widths, or tensors of those widths


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The options of B episodes of up to T steps; all but latents is 0 beyond an episode's end.

    Attributes:
        is_step: bool (B, T), true up to an episode's end.
        boundaries: (B, T), 1 where an option begins and 0 elsewhere; 1 at step 0. Its gradient is
            that of a relaxed sample.
        probabilities: (B, T), q(b_t = 1 | trajectory); 1 at step 0.
        latents: (B, T, L), z_t: the same from one boundary to the next.
        latent_divergences: (B, T), KL of each option's z from N(0, I) at its boundary, else 0.
    """

    is_step: Tensor
    boundaries: Tensor
    probabilities: Tensor
    latents: Tensor
    latent_divergences: Tensor

    def rate_divergence(self, rate: float) -> Tensor:
        """KL of a coin of the mean probability, over all steps but 0, from one of this chance, ().

        Of the mean and not of each step: q may then be sure of where an option begins, as long as
        they begin as often as they should. 0 where no episode has more than one step.
        """
        count = self.is_step[:, 1:].sum()
        p = (self.probabilities[:, 1:].sum() / count.clamp_min(1)).clamp(1e-6, 1 - 1e-6)
        divergence = p * (p / rate).log() + (1 - p) * ((1 - p) / (1 - rate)).log()
        return divergence * (count > 0)


class OptionPosterior(nn.Module):
    """q(b, z | trajectory): a bidirectional GRU over all of a trajectory's vectors and actions.

    The variational network of Shankar and Gupta (2020). It is for training and for encoding
    demonstrations: an agent never calls it.

    Args:
        vectors: widths of the vectors by name; there may be none.
        action_dim: width of the action.
        latent_dim: width of z.
        width: hidden units of the GRU, in each direction.
        temperature: of the relaxed boundaries.
    """

    def __init__(
        self,
        vectors: Mapping[str, int],
        action_dim: int,
        latent_dim: int,
        width: int,
        temperature: float,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.scale = VectorScale(_inputs_of(vectors, vectors, action_dim))
        self._vectors = sorted(vectors)
        self.gru = nn.GRU(
            self.scale.output_dim, width, num_layers=2, batch_first=True, bidirectional=True
        )
        self.boundary_head = nn.Linear(2 * width, 1)
        self.latent_head = nn.Linear(2 * width, 2 * latent_dim)

    def init_from_data(self, vectors: Observations, actions: Tensor) -> None:
        """Take mean and deviation of vectors (N, D) and actions (N, A), to standardise them."""
        self.scale.init_from_data(_inputs_of(self._vectors, vectors, actions))

    def forward(
        self,
        vectors: Observations,
        actions: Tensor,
        is_step: Tensor,
        generator: torch.Generator | None,
    ) -> Segmentation:
        """Encode whole episodes, padded at their ends to T steps; padding changes nothing.

        Args:
            vectors: (B, T, D) by name.
            actions: (B, T, A) in the robot's units.
            is_step: bool (B, T), true up to an episode's end.
            generator: draws boundaries and latents; None takes the likelier boundary and the mean.
        """
        hidden = self._read(vectors, actions, is_step)
        logits = self.boundary_head(hidden).squeeze(-1)
        mean, std = self.gaussian(hidden)
        proposed, boundaries = mean, (logits > 0).to(logits)
        if generator is not None:
            chance, noise = _chance_of(mean, generator)
            proposed, boundaries = mean + std * noise, self._relaxed(logits, chance)
        boundaries = is_step * _first_is_one(boundaries)
        divergence = 0.5 * (mean.square() + std.square() - 1 - 2 * std.log()).sum(-1)
        return Segmentation(
            is_step=is_step,
            boundaries=boundaries,
            probabilities=is_step * _first_is_one(torch.sigmoid(logits)),
            latents=_held(proposed, boundaries),
            latent_divergences=boundaries * divergence,
        )

    def gaussian(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation (B, T, L) of an option that begins at a step, of (B, T, 2 * width)."""
        mean, raw = self.latent_head(hidden).chunk(2, -1)
        return mean, bounded_log_std(raw, *LATENT_LOG_STD_RANGE).exp()

    def _read(self, vectors: Observations, actions: Tensor, is_step: Tensor) -> Tensor:
        """What the GRU says of each step, (B, T, 2 * width); packed, it reads no padding."""
        (inputs,) = self.scale(_inputs_of(self._vectors, vectors, actions))
        lengths, num_steps = is_step.sum(1).cpu(), is_step.shape[1]
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        read, _ = self.gru(packed)
        hidden, _ = pad_packed_sequence(read, batch_first=True, total_length=num_steps)
        return hidden

    def _relaxed(self, logits: Tensor, chance: Tensor) -> Tensor:
        """Zeros and ones with the gradient of a binary concrete variable (straight through)."""
        soft = torch.sigmoid((logits + torch.logit(chance, eps=1e-6)) / self.temperature)
        return (soft > 0.5).to(soft) + (soft - soft.detach())  # the second sum is exactly 0


class OptionArchitecture(ContextArchitecture):
    """All that determines the shapes of a model's weights; its context is the low-level policy's.

    Attributes:
        hidden: widths of the hidden layers of the low-level policy.
        latent_dim: width of z.
        posterior_width: hidden units of the posterior's GRU, in each direction.
    """

    hidden: Widths
    latent_dim: Width
    posterior_width: Width


class OptionModel(ContextModel):
    """A low-level policy p(a | s, z), when options end, and the posterior they were found with."""

    def __init__(self, architecture: OptionArchitecture) -> None:
        """Build the model with freshly drawn weights; see `ContextModel` for what is refused."""
        super().__init__(architecture, "pretrain.options")
        a, spec = architecture, architecture.spec
        self.architecture = architecture
        self.policy = mlp(a.context_dim + a.latent_dim, a.hidden, 2 * spec.action.dim)
        self.end = mlp(a.context_dim + a.latent_dim, [ENDS_WIDTH], 1)
        self.posterior = OptionPosterior(
            spec.vectors, spec.action.dim, a.latent_dim, a.posterior_width, TEMPERATURE
        )

    @property
    def latent_dim(self) -> int:
        """Width of z."""
        return self.architecture.latent_dim

    def init_from_data(self, observations: Observations, actions: Tensor) -> None:
        """See `ContextModel`; the posterior's scales too."""
        super().init_from_data(observations, actions)
        self.posterior.init_from_data(observations, actions)

    def gaussian(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation (B, A) of normalised actions, of z (B, L) and context (B, C)."""
        mean, raw = self.policy(torch.cat([context, z], -1)).chunk(2, -1)
        bounded = torch.tanh(mean) if self.action_scale.is_bounded else mean
        return bounded, bounded_log_std(raw, *LOG_STD_RANGE).exp()

    def log_prob(self, actions: Tensor, z: Tensor, context: Tensor) -> Tensor:
        """Density log p(a | s, z) of normalised actions, (B,), summed over the dimensions.

        Args:
            actions: (B, A) in the robot's units.
            z: (B, L).
            context: (B, context_dim).
        """
        density = Normal(*self.gaussian(z, context), validate_args=False)
        normalised = self.action_scale.normalised(actions)
        log_prob: Tensor = density.log_prob(normalised)  # type: ignore[no-untyped-call]
        return log_prob.sum(-1)

    def end_logits(self, z: Tensor, context: Tensor) -> Tensor:
        """Log-odds (B,) that option z is over, before the action of this observation."""
        logits: Tensor = self.end(torch.cat([context, z], -1)).squeeze(-1)
        return logits

    def act(self, z: Tensor, context: Tensor) -> Tensor:
        """The robot's action (B, A) of option z (B, L): the mean of p(a | s, z)."""
        return self.action_scale.restored(self.gaussian(z, context)[0])

    def ends(self, z: Tensor, context: Tensor) -> Tensor:
        """Probability (B,) that option z, under which this observation was reached, is over here.

        Asked before acting on an observation other than the first: where it is over, another z acts
        on this very observation.
        """
        return torch.sigmoid(self.end_logits(z, context))

    def save(self, folder: Path, lineage: dict[str, Any]) -> None:
        """Write weights and config; `lineage` says what the model was made from."""
        save_model(self, folder, WEIGHTS, self.architecture, lineage)

    @classmethod
    def load(cls, folder: Path) -> OptionModel:
        """Read a model, frozen and in evaluation mode.

        Raises:
            UserError: config or weights are missing, unreadable or do not fit each other.
        """
        return load_model(
            lambda config: cls(architecture_of(OptionArchitecture, config)),
            folder, WEIGHTS, "options", "parrot pretrain --method options",
        )  # fmt: skip


def _inputs_of(names: Iterable[str], vectors: Mapping[str, V], actions: V) -> dict[str, V]:
    """What the posterior reads, by names of which no two are alike."""
    return {**{f"of_{name}": vectors[name] for name in names}, "actions": actions}


def _first_is_one(values: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(values[:, :1]), values[:, 1:]], 1)


def _chance_of(like: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Uniform numbers (B, T) and standard normal ones (B, T, L), as `like` (B, T, L).

    Drawn step by step, so that those of a step do not depend on how many steps follow.
    """
    uniform, normal = [], []
    for step in like.unbind(1):
        uniform.append(torch.rand(len(step), generator=generator))
        normal.append(torch.randn(step.shape, generator=generator))
    return torch.stack(uniform, 1), torch.stack(normal, 1)


def _held(proposed: Tensor, boundaries: Tensor) -> Tensor:
    """z_t = b_t * proposed_t + (1 - b_t) * z_{t-1}, (B, T, L)."""
    held = [proposed[:, 0]]
    for new, begins in zip(proposed.unbind(1)[1:], boundaries.unbind(1)[1:], strict=True):
        b = begins[:, None]
        held.append(b * new + (1 - b) * held[-1])
    return torch.stack(held, 1)
