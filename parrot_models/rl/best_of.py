"""An agent that acts by the best of several draws of its actor, as its critics judge them."""

from __future__ import annotations

import torch
from torch import Tensor

from parrot_models.networks.device import to_device
from parrot_models.rl.params import AgentParams
from parrot_models.rl.sac import SAC, Executed, Networks, actions_as_given


class BestOfSAC(SAC):
    """SAC whose policy is the best of N draws of the actor, by the lower of its critics.

    Where the actor's draws are near a prior's, the policy is the prior's, better chosen from
    (Hansen-Estruch et al., 2023, "IDQL: Implicit Q-learning as an actor-critic method with
    diffusion policies"; with an actor that learns too: Dong et al., 2025, "EXPO"). The critics'
    targets are values of that policy; the actor learns as SAC's does.

    Without chance it chooses among the actor's mode and N - 1 fixed steps from it, in its standard
    deviations: the same observation gets the same action.

    Args:
        networks, params, executed, generator, device: see `SAC`; N is `params.candidates`.

    Raises:
        ValueError: the critics judge something else than what the actor says.
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
        if executed is not actions_as_given:
            raise ValueError("candidates are judged as the actor says them")
        shape = (params.candidates, networks.actor.action_dim)
        steps = torch.randn(shape, generator=generator)
        steps[0] = 0  # the mode itself
        self._steps = to_device(steps, device)
        super().__init__(networks, params, executed=executed, generator=generator, device=device)

    def mode(self, encoded: Tensor) -> Tensor:
        """The best (B, A) of the mode and fixed steps from it."""
        mean, log_std = self.actor(encoded)
        unsquashed = mean[:, None] + log_std.exp()[:, None] * self._steps
        return self._best(encoded, self.actor.squash(unsquashed))[0]

    def sample(self, encoded: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The best (B, A) of N draws, and the actor's log_probs (B,) of these."""
        repeated = encoded.repeat_interleave(len(self._steps), 0)
        actions, log_probs = self.actor.sample(repeated, generator)
        by_row = (len(encoded), len(self._steps))
        best, chosen = self._best(encoded, actions.view(*by_row, -1))
        return best, log_probs.view(by_row).gather(1, chosen).squeeze(1)

    @torch.no_grad()
    def _best(self, encoded: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Of candidates (B, N, A) the most valued (B, A), and its place (B, 1)."""
        num_rows, num_candidates, dim = candidates.shape
        repeated = encoded.repeat_interleave(num_candidates, 0)
        values = self.critic(repeated, candidates.reshape(-1, dim)).amin(0)
        chosen = values.view(num_rows, num_candidates).argmax(1, keepdim=True)
        return candidates.gather(1, chosen[..., None].expand(-1, 1, dim)).squeeze(1), chosen
