"""An agent as it acts: trunk, actor and critics, and the weights that make them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parrot_models.networks.device import noise_generator, on_host, to_device
from parrot_models.rl.batch import Observation, one_row
from parrot_models.rl.critic import Critic
from parrot_models.rl.networks import Actor
from parrot_models.rl.trunk import Trunk

NUM_CRITICS = 2

MakeActor = Callable[[int, Tensor, Tensor], Actor]


class Agent:
    """Networks that act and judge; how they learn is not said here.

    Args:
        vector_dims: widths of the vectors the agent sees, by observation key.
        encoder, encoder_dim: see `Trunk`.
        action_low, action_high: float32 (A,), the action box.
        critic_action_dim: width of the actions that critics judge.
        hidden: widths of the hidden layers of actor and critics.
        initial_std: see `Actor`.
        make_actor: of the trunk's width and the box, in place of a fresh actor; None for that one.
        initial_temperature: weight of the entropy bonus at the start.
        generator: on the CPU; source of the initial weights, the same ones on every device, and on
            the CPU of all noise afterwards.
        device: of networks and noise.
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
        hidden: Sequence[int],
        initial_std: float,
        initial_temperature: float,
        generator: torch.Generator,
        device: torch.device,
        make_actor: MakeActor | None = None,
    ) -> None:
        self.device = device
        width = sum(vector_dims.values()) + encoder_dim
        box = torch.from_numpy(action_low), torch.from_numpy(action_high)
        actor = (
            Actor(width, *box, hidden, initial_std, generator)
            if make_actor is None
            else make_actor(width, *box)
        )
        self.actor: Actor = actor.to(device)
        trunk = Trunk(vector_dims, encoder, encoder_dim, clips=actor.clips_input)
        self.trunk = trunk.to(device)
        critic = Critic(width, critic_action_dim, hidden, NUM_CRITICS, generator)
        self.critic = critic.to(device)
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
        encoded = self.trunk(seen)
        if deterministic:
            return self.actor.mode(encoded).cpu().numpy()
        return self.actor.sample(encoded, generator or self.generator)[0].cpu().numpy()

    def standardize_by(self, observations: Observation) -> None:
        """Standardize what the trunk sees by these observations, per key (N, ...)."""
        self.trunk.standardize_by(
            {k: to_device(torch.from_numpy(v), self.device) for k, v in observations.items()}
        )
        self.actor.stand_on(self.trunk.mean, self.trunk.std)

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
