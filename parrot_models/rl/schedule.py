"""When an agent learns, how much, and which episodes are guided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Schedule:
    """What a learner does at which step of the environments.

    Attributes:
        warmup_steps: env steps of warm-up actions before the first update.
        critic_only_updates: first updates, in which the actor stays as it is: it would follow
            critics that know nothing yet, and lose what the prior gave it.
        batch_size: transitions an update.
        utd: updates per env step after the warm-up; may be a fraction.
        total_steps: env steps of the whole run, over which learning rates fall linearly.
        final_rate: share of the learning rates that is left at its end.
        guided_episodes: first episodes that are guided, however long the warm-up is.
        guided_share: of the episodes after these, drawn one by one.
    """

    warmup_steps: int
    critic_only_updates: int
    batch_size: int
    utd: float
    total_steps: int
    final_rate: float
    guided_episodes: int = 0
    guided_share: float = 0.0

    def updates_by(self, env_steps: int) -> int:
        """Updates that are due by this step, those before it included."""
        return max(0, int(self.utd * (env_steps - self.warmup_steps)))

    def rate_at(self, env_steps: int) -> float:
        """Share of the learning rates at this step: a late critic should no longer jump."""
        progress = min(1.0, env_steps / self.total_steps)
        return 1.0 + (self.final_rate - 1.0) * progress

    def draw_guided(self, first: int, num_envs: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which of the episodes first, first + 1, ... are guided, bool (N,).

        Without a share nothing is drawn from `rng`.
        """
        is_guided = np.arange(first, first + num_envs) < self.guided_episodes
        if self.guided_share > 0.0:
            is_guided |= rng.random(num_envs) < self.guided_share
        return is_guided
