"""A cloned policy to learn on from: it acts in the warm-up, and is what the actor starts as.

What could wreck the actor is kept from it. Critics are new and know nothing: the first updates,
`finetune.critic_only_updates`, leave actor and temperature alone, and learn from what the clone
did. The entropy bonus starts small (`agent.initial_temperature`) and grows only when the policy's
entropy is below `agent.target_entropy`; a clone's entropy is close to -7 times log_prob_per_dim of
its metrics.json, so that the default of -7 nats asks no policy for more chance that fits its data
by less than 1 nat a dimension. The encoder stays frozen: only critics' losses train a trunk here.

And the actor's loss adds `agent.clone_weight` times KL(actor | clone): a penalty on the policy and
not on values (Wu et al., 2019, "Behavior Regularized Offline Reinforcement Learning", with the
clone in the place of their behaviour policy). Without it the actor follows its critics to actions
that they have never seen anybody take, and within a few episodes its success is gone.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from parrot_data.worlds.tabletop.env import ACTION_DIM
from parrot_models.baselines.bc_model import LOG_STD_RANGE, BehaviorCloning
from parrot_models.baselines.keypoints import load_keypoints
from parrot_models.methods.part import Part
from parrot_models.networks.choices import Precision
from parrot_models.networks.keypoints import KeypointEncoder
from parrot_models.rl.agent_params import AgentParams
from parrot_models.rl.networks import Actor
from parrot_models.rl.seen_context import ContextSeen

FIRST = "0.weight"  # of the head's first layer


class Clone(ContextSeen):
    """The clone as a `Prior`: f(z; s) = tanh(mean + std * z) of z ~ N(0, I) is what it would do.

    Args:
        policy: frozen.
        keypoints, precision: see `ContextSeen`.
    """

    latent_dim = ACTION_DIM

    def __init__(
        self, policy: BehaviorCloning, keypoints: KeypointEncoder, precision: Precision
    ) -> None:
        super().__init__(policy, keypoints, precision)
        self.policy = policy

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """Actions (B, 7), of z (B, 7) and context (B, C)."""
        mean, std = self.policy.gaussian(context)
        return torch.tanh(mean + std * z)


def _load(folder: Path, device: torch.device, precision: Precision) -> Clone:
    keypoints = load_keypoints(folder, "bc").to(device)
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
        action_low, action_high: float32 (7,), the corners of the box.
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
        self.cloned_layers = copy.deepcopy(self.layers).requires_grad_(False)

    def penalty(self, encoded: Tensor) -> Tensor:
        """`clone_weight` times the mean of KL(actor | clone) in nats, ().

        It is that of the Gaussians, since the tanh is the same for both.
        """
        if self.clone_weight == 0.0:
            return super().penalty(encoded)
        actor = _normal(*self.gaussian_of(self.layers(encoded)))
        clone = _normal(*self.gaussian_of(self.cloned_layers(encoded)))
        return self.clone_weight * kl_divergence(actor, clone).sum(-1).mean()

    @torch.no_grad()
    def stand_on(self, mean: Tensor, std: Tensor) -> None:
        """Expect (x - mean) / std from now on where x came, and make the same of it."""
        for layers in (self.layers, self.cloned_layers):
            first = layers[0]
            assert isinstance(first, nn.Linear)
            first.bias.add_(first.weight @ mean)
            first.weight.mul_(std)


def _normal(mean: Tensor, log_std: Tensor) -> Normal:
    return Normal(mean, log_std.exp(), validate_args=False)
