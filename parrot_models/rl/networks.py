"""The networks of an agent: a trunk that encodes observations, an actor, an ensemble of critics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from parrot_models.networks.gaussian import bounded_log_std
from parrot_models.networks.precision import in_float32
from parrot_models.rl.params import AgentParams

LOG_STD_RANGE = (-5.0, 1.0)  # of the actor's Gaussian under its tanh
STD_FLOOR = 1e-3  # an input that never moved in the warm-up is not blown up
CLIP_STANDARDIZED = 5.0


class Trunk(nn.Module):
    """An observation as one normalized vector: (B, output_dim).

    Vectors (features too) are standardized by statistics of the warm-up, so that centimetres of a
    gripper weigh as much as a quaternion. Each image passes through an encoder of its own, which
    the critic's loss trains, and a LayerNorm.

    Args:
        vector_dims: widths of the observation's vectors by key, in the order in which they stand in
            the output; keys left out are not seen.
        encoders: by the key of an image: a module that maps uint8 images (B, H, W, 3) to
            (B, encoder_dim).
        encoder_dim: width of the output of each of them.
        clips: whether standardized inputs are clipped.
        critic_dims: widths of vectors that only critics see, by key; they stand at the output's
            end, and where an agent acts nobody has to know them.
    """

    def __init__(
        self,
        vector_dims: Mapping[str, int],
        encoders: Mapping[str, nn.Module],
        encoder_dim: int,
        *,
        clips: bool = True,
        critic_dims: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self._clip = CLIP_STANDARDIZED if clips else math.inf
        critic_dims = critic_dims or {}
        self._actor_keys, self.image_keys = list(vector_dims), sorted(encoders)
        self.keys = [*vector_dims, *critic_dims]
        self._actor_vector_dim = sum(vector_dims.values())
        self.actor_dim = self._actor_vector_dim + encoder_dim * len(encoders)
        vector_dim = self._actor_vector_dim + sum(critic_dims.values())
        self.output_dim = self.actor_dim + sum(critic_dims.values())
        # Prefixed, since a module's own attributes are no names for its children.
        self.encoders = nn.ModuleDict({f"of_{key}": encoders[key] for key in self.image_keys})
        norms = {f"of_{key}": nn.LayerNorm(encoder_dim) for key in self.image_keys}
        self.norms = nn.ModuleDict(norms)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(vector_dim))
        self.register_buffer("std", torch.ones(vector_dim))

    def standardize_by(self, observations: Mapping[str, Tensor]) -> None:
        """Take mean and standard deviation of every vector input from these observations."""
        if self.keys:
            values = self._vectors(observations, self.keys)
            self.mean.copy_(values.mean(0))
            self.std.copy_(values.std(0).clamp_min(STD_FLOOR))

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Normalized vectors (B, output_dim)."""
        vectors = self._standardized(observations, self.keys)
        own, told = vectors[:, : self._actor_vector_dim], vectors[:, self._actor_vector_dim :]
        return torch.cat([own, *self._encoded(observations), told], dim=-1)

    def for_actor(self, observations: Mapping[str, Tensor]) -> Tensor:
        """What of it an actor sees, (B, actor_dim), of observations without the rest."""
        own = self._standardized(observations, self._actor_keys)
        return torch.cat([own, *self._encoded(observations)], dim=-1)

    def _encoded(self, observations: Mapping[str, Tensor]) -> Iterator[Tensor]:
        for key in self.image_keys:
            encoded = self.encoders[f"of_{key}"](observations[key])
            yield self.norms[f"of_{key}"](encoded.float())

    def _standardized(self, observations: Mapping[str, Tensor], keys: Sequence[str]) -> Tensor:
        vectors = self._vectors(observations, keys)
        width = vectors.shape[-1]
        standardized = (vectors - self.mean[:width]) / self.std[:width]
        return standardized.clamp(-self._clip, self._clip)

    def _vectors(self, observations: Mapping[str, Tensor], keys: Sequence[str]) -> Tensor:
        if not keys:
            (first, *_) = observations.values()
            return self.mean.new_zeros(len(first), 0)
        return torch.cat([observations[key] for key in keys], dim=-1)


class Actor(nn.Module):
    """A Gaussian squashed by tanh into the action box.

    Args:
        input_dim: width of the trunk's output.
        action_low, action_high: float32 (A,), the corners of the box.
        hidden: widths of the hidden layers.
        initial_std: standard deviation under the tanh before any training; the initial mean is the
            box's centre. In a latent box of half-width b, 1 / b makes the first actions look like
            the prior's own: z close to N(0, I).
        generator: source of the initial weights.
        log_std_range: of the logarithm of the standard deviation under the tanh.

    Attributes:
        clips_input: whether the trunk may clip what it gives.
        action_dim: A, the action's width.
        input_dim: of what it is given only so much is looked at; the rest is for critics.
    """

    clips_input = True

    def __init__(
        self,
        input_dim: int,
        action_low: Tensor,
        action_high: Tensor,
        hidden: Sequence[int],
        initial_std: float,
        generator: torch.Generator,
        log_std_range: tuple[float, float] = LOG_STD_RANGE,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, next_width in itertools.pairwise([input_dim, *hidden]):
            layers += [_linear(width, next_width, math.sqrt(2.0), generator), nn.ReLU(inplace=True)]
        layers.append(_linear(hidden[-1], 2 * len(action_low), 0.01, generator))
        self.layers = nn.Sequential(*layers)
        self.register_buffer("centre", (action_high + action_low) / 2)
        self.register_buffer("half_width", (action_high - action_low) / 2)
        self.centre: Tensor
        self.half_width: Tensor
        self.action_dim, self.input_dim = len(action_low), input_dim
        self._log_std_range = log_std_range
        self._log_std_offset = self.raw_log_std(initial_std)

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation (B, A) under the tanh."""
        return self.gaussian_of(last_in_float32(self.layers, encoded[..., : self.input_dim]))

    def raw_log_std(self, std: float) -> float:
        """What `gaussian_of` makes this standard deviation of, once its offset is added."""
        low, high = self._log_std_range
        return math.atanh(2 * (math.log(std) - low) / (high - low) - 1)

    def gaussian_of(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The same of the last layer's output (B, 2 A)."""
        mean, raw = output.chunk(2, dim=-1)
        return mean, bounded_log_std(raw + self._log_std_offset, *self._log_std_range)

    def sample(self, encoded: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Actions (B, A), differentiable in the parameters, and their log_probs (B,).

        The generator is on the actor's device.

        The density is against the actor's reference, see `log_reference`. Here it is that of the
        action scaled to [-1, 1], as is usual for SAC, so that a target entropy means the same in
        every box.
        """
        mean, log_std = self(encoded)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        unsquashed = mean + log_std.exp() * noise
        log_prob = (-0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
        return self.squash(unsquashed), log_prob - self.log_reference(unsquashed)

    def standardize_inputs(self, mean: Tensor, std: Tensor) -> None:
        """The trunk standardises by these from now on; nothing learned yet depends on it."""

    def widen(self, progress: float) -> None:
        """Take note of the share of the run that is over; only a box that widens depends on it."""

    def penalty(self, encoded: Tensor) -> Tensor:
        """What its loss adds, of the trunk's output (B, input_dim), to SAC's own; here 0, ()."""
        return encoded.new_zeros(())

    def mode(self, encoded: Tensor) -> Tensor:
        """The action (B, A) at the Gaussian's mean."""
        return self.squash(self(encoded)[0])

    def squash(self, unsquashed: Tensor) -> Tensor:
        """The action (B, A) of what the Gaussian drew."""
        return self.centre + self.half_width * torch.tanh(unsquashed)

    def log_reference(self, unsquashed: Tensor) -> Tensor:
        """Log-density of the reference measure, (B,), in what the Gaussian draws.

        The expected log_prob against it, the divergence from it, is what the temperature holds at
        its target. Here it is the volume of the action scaled to [-1, 1], log|det d action /
        d unsquashed|, and minus that divergence is SAC's entropy.
        """
        return tanh_log_det(unsquashed)

    def target_entropy(self, params: AgentParams) -> float:
        """What minus that divergence is held at, in nats."""
        return params.target_entropy_per_dim * self.action_dim


class EnsembleLinear(nn.Module):
    """E linear layers as one batched product: (E, B, input_dim) -> (E, B, output_dim)."""

    def __init__(
        self, num_members: int, input_dim: int, output_dim: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(input_dim)
        weight = torch.empty(num_members, input_dim, output_dim)
        bias = torch.empty(num_members, 1, output_dim)
        self.weight = nn.Parameter(weight.uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(bias.uniform_(-bound, bound, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """(E, B, output_dim) of (E, B, input_dim)."""
        if self.weight.shape[-1] == 1:  # a product for one column takes four times as long
            return torch.mul(x, self.weight.transpose(1, 2)).sum(-1, keepdim=True) + self.bias
        return torch.baddbmm(self.bias, x, self.weight)


class EnsembleNormReLU(nn.Module):
    """ReLU of E layer normalizations over the last dimension: (E, B, dim) -> the same.

    Each has a bias but no scale: the next linear layer would absorb a positive scale.
    """

    def __init__(self, num_members: int, dim: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(num_members, 1, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(E, B, dim), non-negative."""
        # In place: at this size a fresh buffer costs more than the arithmetic (measured x10).
        return functional.layer_norm(x, x.shape[-1:]).add_(self.bias).relu_()


class Critic(nn.Module):
    """Q(s, a) of E independent members with LayerNorm after every hidden layer (RLPD).

    Args:
        input_dim: width of the trunk's output.
        action_dim: width of the actions it judges.
        hidden: widths of the hidden layers.
        num_members: E, two for the clipped double Q of SAC.
        generator: source of the initial weights.
    """

    def __init__(
        self,
        input_dim: int,
        action_dim: int,
        hidden: Sequence[int],
        num_members: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.num_members = num_members
        layers: list[nn.Module] = []
        for width, next_width in itertools.pairwise([input_dim + action_dim, *hidden]):
            layers.append(EnsembleLinear(num_members, width, next_width, generator))
            layers.append(EnsembleNormReLU(num_members, next_width))
        layers.append(EnsembleLinear(num_members, hidden[-1], 1, generator))
        self.layers = nn.Sequential(*layers)

    def forward(self, encoded: Tensor, actions: Tensor) -> Tensor:
        """Values (E, B) of encoded observations (B, input_dim) and actions (B, action_dim)."""
        x = torch.cat([encoded, actions], dim=-1)
        if torch.is_autocast_enabled(x.device.type):  # or it would be cast once a member
            x = x.to(torch.get_autocast_dtype(x.device.type))
        expanded = x.expand(self.num_members, *x.shape)
        return last_in_float32(self.layers, expanded).squeeze(-1)


def last_in_float32(layers: nn.Sequential, x: Tensor) -> Tensor:
    """What layers make of x, the last of them in float32 whatever products are in around it."""
    *before, last = layers
    for layer in before:
        x = layer(x)
    return in_float32(last, x)


def tanh_log_det(x: Tensor) -> Tensor:
    """log|det d tanh(x) / dx| summed over the last dimension, stable for large |x|."""
    return (2.0 * (math.log(2.0) - x - functional.softplus(-2.0 * x))).sum(-1)


def _linear(input_dim: int, output_dim: int, gain: float, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(input_dim, output_dim)
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
