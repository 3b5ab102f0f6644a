"""Soft actor-critic (Haarnoja et al., 2018) that neither knows nor asks what its actions mean."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from parrot_models.networks.choices import Precision
from parrot_models.networks.device import adam, on_host, restore, set_learning_rate
from parrot_models.networks.precision import layers_in, products_in
from parrot_models.rl.agent import Agent
from parrot_models.rl.batch import Batch
from parrot_models.rl.cuda_graph import CapturedUpdate

# Scalars () on the agent's device, overwritten by the next update: reading one waits for a GPU.
Info = dict[str, Tensor]
# What the critics judge, from the actor's actions (B, A) and the observations: differentiable.
Executed = Callable[[Tensor, Mapping[str, Tensor]], Tensor]


def actions_as_given(actions: Tensor, _observations: Mapping[str, Tensor]) -> Tensor:
    """The critics judge what the actor says (as in the paper: Q(s, z))."""
    return actions


class SAC(Agent):
    """Twin critics, automatic temperature, one trunk that only the critics' loss trains.

    Args:
        executed: what the critics judge; batches hold it already, the actor's actions pass
            through it.
        learning_rate: of all Adam optimizers.
        polyak: share of the critics that the target critics take over at every update.
        target_entropy: nats, of actions scaled to [-1, 1].
        observation_noise: standard deviation of the Gaussian noise that updates add to the trunk's
            normalized output, in networks and in targets: critics then cannot learn single
            observations by heart.
        precision: of the matrix products in updates, not of their sums nor of acting; "bf16"
            spares a quarter of the time where the CPU can multiply it (AMX, AVX-512).
        agent: the arguments of `Agent`.
    """

    def __init__(
        self,
        *,
        executed: Executed,
        learning_rate: float,
        polyak: float,
        target_entropy: float,
        observation_noise: float,
        precision: Precision,
        **agent: Any,
    ) -> None:
        super().__init__(**agent)
        self.executed, self.polyak = executed, polyak
        self.learning_rate = learning_rate
        self.target_entropy = target_entropy
        self.observation_noise = observation_noise
        self.precision: Precision = precision
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self._judging = [*self.trunk.parameters(), *self.critic.parameters()]
        self._acting = [p for p in self.actor.parameters() if p.requires_grad]
        make = partial(adam, learning_rate=learning_rate, device=self.device)
        self.critic_optimizer = make(self._judging, fused=True)
        self.actor_optimizer = make(self._acting, fused=True)
        self.temperature_optimizer = make([self.log_temperature], fused=False)
        self._captured: dict[bool, CapturedUpdate] = {}

    def scale_learning_rates(self, factor: float) -> None:
        """Let all optimizers go on with this share of the learning rate they began with."""
        for optimizer in self._optimizers():
            set_learning_rate(optimizer, factor * self.learning_rate)

    def update(self, batch: Batch, *, critic_only: bool = False) -> Info:
        """One gradient step on critics, actor and temperature, and one on the target critics.

        With `critic_only` actor and temperature stay as they are. The batch lies on the CPU.
        """
        if self.device.type != "cuda":
            return self.update_at(batch.to(self.device), critic_only=critic_only)
        if critic_only not in self._captured:
            update = partial(self.update_at, critic_only=critic_only)
            self._captured[critic_only] = CapturedUpdate(update, self.generator, self.device)
        return self._captured[critic_only](batch)

    def update_at(self, batch: Batch, *, critic_only: bool) -> Info:
        """The same on a batch that lies where the agent does; nothing in it waits for the GPU."""
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
        return {"critic_loss": loss.detach(), "value": values.detach().mean()}

    @torch.no_grad()
    def critic_targets(self, batch: Batch) -> Tensor:
        """R + discount * (min_i Q_i(s', a') - temperature * log_prob(a')): (B,)."""
        encoded = self._encode(batch.next_observations)
        actions, log_probs = self.actor.sample(encoded, self.generator)
        executed = self.executed(actions, batch.next_observations)
        values: Tensor = self.target_critic(encoded, executed).amin(0)
        return batch.returns + batch.discounts * (values - self._temperature() * log_probs)

    def update_actor(self, observations: Mapping[str, Tensor], encoded: Tensor) -> Info:
        """Step the actor towards what the critics value; `encoded` carries no gradient."""
        actions, log_probs = self.actor.sample(encoded, self.generator)
        values = self.critic(encoded, self.executed(actions, observations)).amin(0)
        loss = (self._temperature() * log_probs - values).mean() + self.actor.penalty(encoded)
        self.actor_optimizer.zero_grad()
        # Naming the inputs spares the critics' weight gradients, half of this backward pass.
        loss.backward(inputs=self._acting)
        self.actor_optimizer.step()
        return {"actor_loss": loss.detach(), "entropy": -log_probs.detach().mean()}

    def update_temperature(self, entropy: Tensor) -> Info:
        """Step the temperature up when the entropy () is below its target, down when above."""
        # d/dx exp(x) * (entropy - target), by hand: autograd would cost more than all the rest.
        gap = (entropy.double() - self.target_entropy).float()
        self.log_temperature.grad = self.log_temperature.detach().exp() * gap
        self.temperature_optimizer.step()
        return {"temperature": self._temperature()}

    @torch.no_grad()
    def update_target(self) -> None:
        """Polyak: target <- target + polyak * (critic - target)."""
        targets: list[Tensor] = list(self.target_critic.parameters())
        torch._foreach_lerp_(targets, list[Tensor](self.critic.parameters()), self.polyak)

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs, on the CPU."""
        return {
            "weights": self.weights(),
            "target_critic": on_host(self.target_critic.state_dict()),
            "optimizers": [on_host(optimizer.state_dict()) for optimizer in self._optimizers()],
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` of an agent of the same construction gave."""
        self._captured.clear()  # they hold the moments that are replaced here
        self.load_weights(state["weights"])
        self.target_critic.load_state_dict(state["target_critic"])
        for optimizer, saved in zip(self._optimizers(), state["optimizers"], strict=True):
            restore(optimizer, copy.deepcopy(saved))  # it would share the moments
        self.generator.set_state(state["generator"])

    def _encode(self, observations: Mapping[str, Tensor]) -> Tensor:
        """The trunk's output (B, dim) with noise, for updates."""
        with layers_in(self.precision, self.device):
            encoded: Tensor = self.trunk(observations)
        if self.observation_noise == 0.0:
            return encoded
        noise = torch.randn(encoded.shape, generator=self.generator, device=self.device)
        return encoded.add(noise, alpha=self.observation_noise)

    def _optimizers(self) -> list[torch.optim.Adam]:
        return [self.critic_optimizer, self.actor_optimizer, self.temperature_optimizer]
