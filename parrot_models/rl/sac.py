"""Soft actor-critic (Haarnoja et al., 2018) that neither knows nor asks what its actions mean."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parrot_models.networks.precision import Precision, layers_in, products_in
from parrot_models.rl.actor_critic import Actor, Critic, Trunk
from parrot_models.rl.replay_buffer import Batch, Observation

Info = dict[str, float]
# What the critics judge, from the actor's actions (B, A) and the observations: differentiable.
Executed = Callable[[Tensor, Mapping[str, Tensor]], Tensor]

NUM_CRITICS = 2


def actions_as_given(actions: Tensor, _observations: Mapping[str, Tensor]) -> Tensor:
    """The critics judge what the actor says (as in the paper: Q(s, z))."""
    return actions


class SAC:
    """Twin critics, automatic temperature, one trunk that only the critics' loss trains.

    Args:
        vector_dims: widths of the vectors the agent sees, by observation key.
        encoder, encoder_dim: see `Trunk`.
        action_low, action_high: float32 (A,), the action box.
        critic_action_dim: width of what `executed` returns and of `Batch.actions`.
        executed: what the critics judge; batches hold it already, the actor's actions pass
            through it.
        hidden: widths of the hidden layers of actor and critics.
        learning_rate: of all Adam optimizers.
        polyak: share of the critics that the target critics take over at every update.
        initial_temperature: of the entropy bonus at the start.
        target_entropy: nats, of actions scaled to [-1, 1].
        initial_std: see `Actor`.
        observation_noise: standard deviation of the Gaussian noise that updates add to the trunk's
            normalized output, in networks and in targets: critics then cannot learn single
            observations by heart.
        precision: of the matrix products in updates, not of their sums nor of acting; "bf16"
            spares a quarter of the time where the CPU can multiply it (AMX, AVX-512).
        generator: source of the initial weights and of all noise afterwards.
    """

    def __init__(
        self,
        *,
        vector_dims: Mapping[str, int],
        encoder: nn.Module | None,
        encoder_dim: int,
        action_low: NDArray[np.float32],
        action_high: NDArray[np.float32],
        critic_action_dim: int,
        executed: Executed,
        hidden: Sequence[int],
        learning_rate: float,
        polyak: float,
        initial_temperature: float,
        target_entropy: float,
        initial_std: float,
        observation_noise: float,
        precision: Precision,
        generator: torch.Generator,
    ) -> None:
        self.executed, self.polyak = executed, polyak
        self.learning_rate = learning_rate
        self.target_entropy, self.generator = target_entropy, generator
        self.observation_noise = observation_noise
        self.precision: Precision = precision
        self.trunk = Trunk(vector_dims, encoder, encoder_dim)
        width = self.trunk.output_dim
        box = torch.from_numpy(action_low), torch.from_numpy(action_high)
        self.actor = Actor(width, *box, hidden, initial_std, generator)
        self.critic = Critic(width, critic_action_dim, hidden, NUM_CRITICS, generator)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(initial_temperature)))
        self._judging = [*self.trunk.parameters(), *self.critic.parameters()]
        self._acting = list(self.actor.parameters())
        self.critic_optimizer = torch.optim.Adam(self._judging, learning_rate, fused=True)
        self.actor_optimizer = torch.optim.Adam(self._acting, learning_rate, fused=True)
        self.temperature_optimizer = torch.optim.Adam([self.log_temperature], learning_rate)

    @property
    def temperature(self) -> float:
        """Weight of the entropy bonus."""
        return math.exp(self.log_temperature.item())

    def scale_learning_rates(self, factor: float) -> None:
        """Let all optimizers go on with this share of the learning rate they began with."""
        for optimizer in self._optimizers():
            for group in optimizer.param_groups:
                group["lr"] = factor * self.learning_rate

    @torch.inference_mode()
    def act(
        self,
        observation: Observation,
        *,
        deterministic: bool,
        generator: torch.Generator | None = None,
    ) -> NDArray[np.float32]:
        """The action (A,) for one observation: the actor's mode, or a sample of it.

        Noise comes from `generator`, or from the agent's own.
        """
        tensors = {key: torch.from_numpy(np.asarray(v))[None] for key, v in observation.items()}
        encoded = self.trunk(tensors)
        if deterministic:
            return self.actor.mode(encoded)[0].numpy()
        return self.actor.sample(encoded, generator or self.generator)[0][0].numpy()

    def update(self, batch: Batch, *, critic_only: bool = False) -> Info:
        """One gradient step on critics, actor and temperature, and one on the target critics.

        With `critic_only` actor and temperature stay as they are.
        """
        with products_in(self.precision):
            encoded = self._encode(batch.observations)
            info = self.update_critic(batch, encoded)
            if not critic_only:
                info |= self.update_actor(batch.observations, encoded.detach())
        if not critic_only:
            info |= self.update_temperature(info["entropy"])
        self.update_target()
        return info

    def update_critic(self, batch: Batch, encoded: Tensor) -> Info:
        """Step critics and trunk towards the soft target; `encoded` is the trunk's (B, dim)."""
        targets = self.critic_targets(batch)
        values = self.critic(encoded, batch.actions)
        loss = (values - targets).square().mean(-1).sum()
        self.critic_optimizer.zero_grad()
        loss.backward(inputs=self._judging)
        self.critic_optimizer.step()
        return {"critic_loss": loss.item(), "value": values.detach().mean().item()}

    @torch.no_grad()
    def critic_targets(self, batch: Batch) -> Tensor:
        """R + discount * (min_i Q_i(s', a') - temperature * log_prob(a')): (B,)."""
        encoded = self._encode(batch.next_observations)
        actions, log_probs = self.actor.sample(encoded, self.generator)
        executed = self.executed(actions, batch.next_observations)
        values: Tensor = self.target_critic(encoded, executed).amin(0)
        return batch.returns + batch.discounts * (values - self.temperature * log_probs)

    def update_actor(self, observations: Mapping[str, Tensor], encoded: Tensor) -> Info:
        """Step the actor towards what the critics value; `encoded` carries no gradient."""
        actions, log_probs = self.actor.sample(encoded, self.generator)
        values = self.critic(encoded, self.executed(actions, observations)).amin(0)
        loss = (self.temperature * log_probs - values).mean()
        self.actor_optimizer.zero_grad()
        # Naming the inputs spares the critics' weight gradients, half of this backward pass.
        loss.backward(inputs=self._acting)
        self.actor_optimizer.step()
        return {"actor_loss": loss.item(), "entropy": -log_probs.detach().mean().item()}

    def update_temperature(self, entropy: float) -> Info:
        """Step the temperature up when the entropy is below its target, down when above."""
        # d/dx exp(x) * (entropy - target), by hand: autograd would cost more than all the rest.
        self.log_temperature.grad = self.log_temperature.detach().exp() * (
            entropy - self.target_entropy
        )
        self.temperature_optimizer.step()
        return {"temperature": self.temperature}

    @torch.no_grad()
    def update_target(self) -> None:
        """Polyak: target <- target + polyak * (critic - target)."""
        targets: list[Tensor] = list(self.target_critic.parameters())
        torch._foreach_lerp_(targets, list[Tensor](self.critic.parameters()), self.polyak)

    def weights(self) -> dict[str, Tensor]:
        """The parameters and buffers that make the trained agent, flat by name."""
        modules = {"trunk": self.trunk, "actor": self.actor, "critic": self.critic}
        named = {f"{m}.{k}": v for m, part in modules.items() for k, v in part.state_dict().items()}
        return {**named, "log_temperature": self.log_temperature.detach()}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `weights` gave.

        Raises:
            RuntimeError: names or shapes are not those of this agent.
        """
        for name, module in (("trunk", self.trunk), ("actor", self.actor), ("critic", self.critic)):
            prefix = f"{name}."
            own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            module.load_state_dict(own)
        with torch.no_grad():
            self.log_temperature.copy_(weights["log_temperature"])

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs: weights, targets, optimizers, noise source."""
        return {
            "weights": self.weights(),
            "target_critic": self.target_critic.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers()],
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` of an agent of the same construction gave."""
        self.load_weights(state["weights"])
        self.target_critic.load_state_dict(state["target_critic"])
        for optimizer, saved in zip(self._optimizers(), state["optimizers"], strict=True):
            optimizer.load_state_dict(copy.deepcopy(saved))  # it would share the moments
        self.generator.set_state(state["generator"])

    def _encode(self, observations: Mapping[str, Tensor]) -> Tensor:
        """The trunk's output (B, dim) with noise, for updates."""
        with layers_in(self.precision):
            encoded: Tensor = self.trunk(observations)
        if self.observation_noise == 0.0:
            return encoded
        noise = torch.randn(encoded.shape, generator=self.generator)
        return encoded.add(noise, alpha=self.observation_noise)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.critic_optimizer, self.actor_optimizer, self.temperature_optimizer]
