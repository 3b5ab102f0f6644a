"""A cloned policy to learn on from: it acts in the warm-up, and is what the actor starts as.

What could wreck the actor is kept from it. Critics are new and know nothing: the first updates,
`finetune.critic_only_updates`, leave actor and temperature alone, and learn from what the clone
did. The entropy bonus starts small (`agent.initial_temperature`) and grows only when the policy's
entropy is below `agent.target_entropy_per_dim`; a clone's entropy a dimension is close to minus
log_prob_per_dim of its metrics.json, so that the default of -1 nat asks no policy for more chance
that fits its data by less than 1 nat a dimension. The encoder stays frozen: only critics' losses
train a trunk here.

And the actor's loss adds `agent.clone_weight` times KL(actor | clone): a penalty on the policy and
not on values (Wu et al., 2019, "Behavior Regularized Offline Reinforcement Learning", with the
clone in the place of their behaviour policy). Without it the actor follows its critics to actions
that they have never seen anybody take, and within a few episodes its success is gone.

Where actions have no bounds, a clone is a Gaussian of standardised actions without a tanh, and so
is its actor: a tanh into a box would make it another policy before it has learned anything. It may
leave the box of `action_box`, which only says the unit of its entropy; what holds it is the penalty
above. (All other actors act inside the box.)
"""

from __future__ import annotations

import copy
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from parrot_models.baselines.bc_model import LOG_STD_RANGE, BehaviorCloning
from parrot_models.baselines.keypoints import load_keypoints
from parrot_models.methods.part import ContextSeen, Part
from parrot_models.networks.action_scale import BOX_STDS
from parrot_models.networks.choices import Precision
from parrot_models.networks.keypoints import Keypoints
from parrot_models.rl.networks import Actor, last_in_float32
from parrot_models.rl.params import AgentParams

FIRST = "0.weight"  # of the head's first layer


class Clone(ContextSeen):
    """The clone as a `Prior`: f(z; s) of z ~ N(0, I) is what it would do.

    f(z; s) = mean + std * z, under a tanh where actions have bounds, in the robot's units.

    Args:
        policy: frozen.
        keypoints, precision: see `ContextSeen`.
    """

    def __init__(
        self, policy: BehaviorCloning, keypoints: Keypoints | None, precision: Precision
    ) -> None:
        super().__init__(policy, keypoints, precision)
        self.policy, self.latent_dim, self.decode = policy, policy.latent_dim, policy.decode


def _load(folder: Path, device: torch.device, precision: Precision) -> Clone:
    keypoints = load_keypoints(folder, "bc", device)
    return Clone(BehaviorCloning.load(folder).to(device), keypoints, precision)


CLONE = Part(
    "bc", "parrot pretrain --method bc", _load,
    code=("baselines/keypoints.py", "baselines/bc_model.py"),
)  # fmt: skip


class ClonedActor(Actor):
    """An actor that starts as a clone, and is held near it.

    It starts with the clone's mean and deviation of every observation: it is the clone's head,
    widened by weights of zero for what the agent sees beside the clone's context. The head was
    fitted to contexts as they are; when the trunk begins to standardise, the first layer takes the
    inverse of that in, so that the policy stays the same.

    Args:
        clone: whose Gaussian it is; not changed.
        params: whose `clone_weight` says how strongly it is held.
        input_dim: width of the trunk's output, which begins with the clone's context.
        action_low, action_high: float32 (A,), the corners of the box.
    """

    clips_input = False  # what is far from the mean would no longer be what the clone has learned

    def __init__(
        self,
        clone: Clone,
        params: AgentParams,
        input_dim: int,
        action_low: Tensor,
        action_high: Tensor,
    ) -> None:
        hidden, middle = clone.policy.architecture.hidden, sum(LOG_STD_RANGE) / 2
        super().__init__(
            input_dim, action_low, action_high, hidden, math.exp(middle), torch.Generator(),
            LOG_STD_RANGE,
        )  # fmt: skip
        weights = clone.policy.head.state_dict()
        of_context = weights[FIRST]
        more = of_context.new_zeros(len(of_context), input_dim - of_context.shape[1])
        self.layers.load_state_dict({**weights, FIRST: torch.cat([of_context, more], -1)})
        self.clone_weight = params.clone_weight
        self._is_bounded = clone.policy.action_scale.is_bounded
        self.cloned_layers = copy.deepcopy(self.layers).requires_grad_(False)

    def penalty(self, encoded: Tensor) -> Tensor:
        """`clone_weight` times the mean of KL(actor | clone) in nats, ().

        It is that of the Gaussians, since what maps them to actions is the same for both.
        """
        if self.clone_weight == 0.0:
            return super().penalty(encoded)
        actor = _normal(*self.gaussian_of(last_in_float32(self.layers, encoded)))
        clone = _normal(*self.gaussian_of(last_in_float32(self.cloned_layers, encoded)))
        return self.clone_weight * kl_divergence(actor, clone).sum(-1).mean()

    def squash(self, unsquashed: Tensor) -> Tensor:
        """See `Actor`; without bounds the action in its own units."""
        if self._is_bounded:
            return super().squash(unsquashed)
        return self.centre + self.half_width / BOX_STDS * unsquashed

    def log_reference(self, unsquashed: Tensor) -> Tensor:
        """See `Actor`."""
        if self._is_bounded:
            return super().log_reference(unsquashed)
        return unsquashed.new_full(unsquashed.shape[:-1], -self.action_dim * math.log(BOX_STDS))

    @torch.no_grad()
    def standardize_inputs(self, mean: Tensor, std: Tensor) -> None:
        """Expect (x - mean) / std from now on where x came, and make the same of it."""
        for layers in (self.layers, self.cloned_layers):
            first = layers[0]
            assert isinstance(first, nn.Linear)
            first.bias.add_(first.weight @ mean)
            first.weight.mul_(std)


def _normal(mean: Tensor, log_std: Tensor) -> Normal:
    return Normal(mean, log_std.exp(), validate_args=False)
