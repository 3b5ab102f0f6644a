"""Soft actor-critic (Haarnoja et al., 2018) that neither knows nor asks what its actions mean."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parrot_models.networks.device import (
    adam,
    noise_generator,
    on_host,
    restore,
    set_learning_rate,
    to_device,
)
from parrot_models.networks.precision import layers_in, products_in
from parrot_models.rl.cuda_graph import CapturedUpdate
from parrot_models.rl.networks import Actor, Critic, Trunk
from parrot_models.rl.params import AgentParams
from parrot_models.rl.replay import Batch, Observation, one_row

# Scalars () on the agent's device, overwritten by the next update: reading one waits for a GPU.
Info = dict[str, Tensor]
# What the critics judge, from the actor's actions (B, A) and the observations: differentiable.
Executed = Callable[[Tensor, Mapping[str, Tensor]], Tensor]


def actions_as_given(actions: Tensor, _observations: Mapping[str, Tensor]) -> Tensor:
    """The critics judge what the actor says (as in the paper: Q(s, z))."""
    return actions


@dataclass(frozen=True)
class Networks:
    """What an agent is made of.

    Attributes:
        trunk: encodes observations, for both of the others.
        actor: acts.
        critic: two members, for the clipped double Q.
    """

    trunk: Trunk
    actor: Actor
    critic: Critic


class Agent:
    """Networks that act and judge; how they learn is not said here.

    Args:
        networks: with their first weights, the same ones on every device.
        initial_temperature: weight of the entropy bonus at the start.
        generator: on the CPU, source of all noise there; elsewhere its seed makes one.
        device: of networks and noise.
    """

    def __init__(
        self,
        networks: Networks,
        initial_temperature: float,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.device = device
        self.trunk = networks.trunk.to(device)
        self.actor = networks.actor.to(device)
        self.critic = networks.critic.to(device)
        log_temperature = torch.tensor(math.log(initial_temperature), device=device)
        self.log_temperature = nn.Parameter(log_temperature)
        self.generator = noise_generator(generator, device)

    @property
    def temperature(self) -> float:
        """Weight of the entropy bonus; asking for it waits for a GPU."""
        return self._temperature().item()

    def act(
        self,
        observation: Observation,
        *,
        deterministic: bool,
        generator: torch.Generator | None = None,
    ) -> NDArray[np.float32]:
        """The action (A,) for one observation: see `act_each`."""
        row = one_row(observation)
        actions = self.act_each(row, deterministic=deterministic, generator=generator)
        action: NDArray[np.float32] = actions[0]
        return action

    @torch.inference_mode()
    def act_each(
        self,
        observations: Observation,
        *,
        deterministic: bool,
        generator: torch.Generator | None = None,
    ) -> NDArray[np.float32]:
        """The actions (N, A) for observations, per key (N, ...): the actor's mode, or a sample.

        Noise comes from `generator`, which is on the agent's device, or from the agent's own.
        """
        seen = {k: to_device(torch.from_numpy(v), self.device) for k, v in observations.items()}
        encoded = self.trunk.for_actor(seen)
        if deterministic:
            return self.mode(encoded).cpu().numpy()
        return self.sample(encoded, generator or self.generator)[0].cpu().numpy()

    def mode(self, encoded: Tensor) -> Tensor:
        """The actions (B, A) that it chooses on the trunk's output, without chance."""
        return self.actor.mode(encoded)

    def sample(self, encoded: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Actions (B, A) that it explores with, and the actor's log_probs of them (B,)."""
        return self.actor.sample(encoded, generator)

    def standardize_by(self, observations: Observation) -> None:
        """Standardize what the trunk sees by these observations, per key (N, ...)."""
        own = {k: torch.from_numpy(observations[k]) for k in self.trunk.keys}
        self.trunk.standardize_by({k: to_device(v, self.device) for k, v in own.items()})
        self.actor.standardize_inputs(self.trunk.mean, self.trunk.std)

    def _temperature(self) -> Tensor:
        """The same, float64 ()."""
        return self.log_temperature.detach().double().exp()

    def weights(self) -> dict[str, Tensor]:
        """The parameters and buffers that make the trained agent, flat by name, on the CPU."""
        modules = {"trunk": self.trunk, "actor": self.actor, "critic": self.critic}
        named = {f"{m}.{k}": v for m, part in modules.items() for k, v in part.state_dict().items()}
        held: dict[str, Tensor] = on_host({**named, "log_temperature": self.log_temperature})
        return held

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


class SAC(Agent):
    """Twin critics, automatic temperature, one trunk that only the critics' loss trains.

    Args:
        networks: with their first weights.
        params: learning rates, target entropy or divergence, noise, precision.
        executed: what the critics judge; batches hold it already, the actor's actions pass
            through it.
        generator, device: see `Agent`.
    """

    def __init__(
        self,
        networks: Networks,
        params: AgentParams,
        *,
        executed: Executed,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        super().__init__(networks, params.initial_temperature, generator, device)
        self.executed = executed
        self.params = params
        self.target_entropy = self.actor.target_entropy(params)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self._judging = [*self.trunk.parameters(), *self.critic.parameters()]
        self._acting = [p for p in self.actor.parameters() if p.requires_grad]
        make = partial(adam, learning_rate=params.learning_rate, device=self.device)
        self.critic_optimizer = make(self._judging, fused=True)
        self.actor_optimizer = make(self._acting, fused=True)
        self.temperature_optimizer = make([self.log_temperature], fused=False)
        self._captured: dict[bool, CapturedUpdate] = {}

    def scale_learning_rates(self, factor: float) -> None:
        """Let all optimizers go on with this share of the learning rate they began with."""
        for optimizer in self._optimizers():
            set_learning_rate(optimizer, factor * self.params.learning_rate)

    def widen(self, progress: float) -> None:
        """Tell the actor the share of the run that is over; see `Actor.widen`."""
        self.actor.widen(progress)

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
        with products_in(self.params.precision, self.device):
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
        actions, log_probs = self.sample(encoded, self.generator)
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
        torch._foreach_lerp_(targets, list[Tensor](self.critic.parameters()), self.params.polyak)

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
        with layers_in(self.params.precision, self.device):
            encoded: Tensor = self.trunk(observations)
        if self.params.observation_noise == 0.0:
            return encoded
        noise = torch.randn(encoded.shape, generator=self.generator, device=self.device)
        return encoded.add(noise, alpha=self.params.observation_noise)

    def _optimizers(self) -> list[torch.optim.Adam]:
        return [self.critic_optimizer, self.actor_optimizer, self.temperature_optimizer]
