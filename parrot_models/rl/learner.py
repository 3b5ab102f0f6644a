"""The loop of reinforcement learning: act, store, update, a round of episodes at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.rollout import episode_seed
from parrot_data.lockstep import Envs, Outcome
from parrot_data.streams import generator, seed_sequence
from parrot_models.networks.device import on_host
from parrot_models.networks.finite import check_actions, check_values, check_weights
from parrot_models.rl.replay import DemoReplay, Observation, ReplayBuffer, row_of
from parrot_models.rl.sac import SAC, Info
from parrot_models.rl.views import DirectView


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
        return 1.0 + (self.final_rate - 1.0) * self.progress_at(env_steps)

    def progress_at(self, env_steps: int) -> float:
        """Share of the run that is over at this step."""
        return min(1.0, env_steps / self.total_steps)

    def draw_guided(self, first: int, num_envs: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which of the episodes first, first + 1, ... are guided, bool (N,).

        Without a share nothing is drawn from `rng`.
        """
        is_guided = np.arange(first, first + num_envs) < self.guided_episodes
        if self.guided_share > 0.0:
            is_guided |= rng.random(num_envs) < self.guided_share
        return is_guided


@dataclass(frozen=True)
class EpisodeSummary:
    """One episode of training.

    Attributes:
        env_steps: taken in all environments together, at its end.
        episode_return: undiscounted sum of rewards.
        success: whether the task's predicate held after the last step.
        info: of the last update, empty during the warm-up.
    """

    env_steps: int
    episode_return: float
    success: bool
    info: dict[str, float]


class Learner:
    """An agent, the environments it acts in, and its memory.

    A round is one episode in each environment, in lockstep: environment k of N has episode
    r * N + k in round r. With one environment an agent learns from a step before it takes the next;
    with several it learns while they simulate, from all steps before that one.

    An action is a decision, which lasts for a step or for several: the view says when the next is
    due. Steps, updates and the ends of episodes are counted in steps of a robot for all of them.

    Some episodes are guided: whatever acts in the warm-up acts in them to their end.

    Between rounds `state_dict` holds all there is: the next episodes are functions of the seed and
    their numbers.

    Args:
        envs: the plain environments.
        view: what stands between them and the agent.
        agent: learns.
        replay: empty, with a lane for each environment.
        schedule: when it learns, and how much.
        seed: of the training episodes, the warm-up and the draws from the replay buffer.
        stores_executed: whether the replay holds what the robot executed, not what the agent said.
        bootstraps: whether the last observation of a truncated episode is worth what critics say of
            it; where no decision is ever taken on such a one, they know nothing of it.
    """

    def __init__(
        self,
        envs: Envs,
        view: DirectView,
        agent: SAC,
        replay: ReplayBuffer | DemoReplay,
        schedule: Schedule,
        *,
        seed: int,
        stores_executed: bool,
        bootstraps: bool = True,
    ) -> None:
        self.envs, self.view = envs, view
        self.agent, self.replay = agent, replay
        self.schedule = schedule
        self.stores_executed, self.bootstraps = stores_executed, bootstraps
        self.env_steps = 0
        self.num_episodes = 0
        self._num_updates = 0
        self._info: Info = {}
        # Spread, so that no training scene is an evaluation scene because two small seeds agree.
        self._env_seed = int(seed_sequence(seed, "finetune: scenes").generate_state(1)[0])
        self._rng = generator(seed, "finetune: draws")

    def run_round(self) -> list[EpisodeSummary]:
        """Roll out one episode in each environment, learning once the warm-up is over.

        Raises:
            UserError: an action, a loss, a Q-value or the temperature is not finite.
        """
        num_envs = self.envs.num_envs
        seen = self._begin()
        actions = np.zeros((num_envs, *(self.view.action_space.shape or ())), np.float32)
        is_guided = self.schedule.draw_guided(self.num_episodes, num_envs, self._rng)
        is_live = np.ones(num_envs, bool)
        episode_returns, ends = np.zeros(num_envs), np.zeros(num_envs, int)
        while is_live.any():
            if self.view.is_due.any():
                actions = self._act(seen, is_guided)
            executed = self.view.executed(actions)
            self.envs.start_step(executed)
            if num_envs > 1:
                self._learn()
            outcome = self.envs.finish_step()
            seen = self.view.see(outcome.observations)
            self._store(is_live, executed if self.stores_executed else actions, outcome, seen)
            if num_envs == 1:
                self._learn()
            episode_returns += outcome.rewards * is_live
            ends[is_live] = self.env_steps
            is_live &= ~(outcome.terminated | outcome.truncated)
        self._learn()
        self.num_episodes += num_envs
        info = self._checked_info()
        return [
            EpisodeSummary(int(end), float(episode_return), bool(success), info)
            for end, episode_return, success in zip(
                ends, episode_returns, outcome.is_success, strict=True
            )
        ]

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs; valid between rounds.

        Raises:
            UserError: the agent's weights are not finite.
        """
        agent = self.agent.state_dict()
        check_weights(agent["weights"], f"the agent ({self._now()})")
        return {
            "agent": agent,
            "replay": self.replay.state_dict(),
            "rng": self._rng.bit_generator.state,
            "counts": [self.env_steps, self.num_episodes, self._num_updates],
            "info": on_host(self._info),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` of a learner of the same construction gave."""
        self.agent.load_state_dict(state["agent"])
        self.replay.load_state_dict(state["replay"])
        self._rng.bit_generator.state = state["rng"]
        self.env_steps, self.num_episodes, self._num_updates = state["counts"]
        self._info = state["info"]

    def _begin(self) -> Observation:
        """Begin an episode in each environment; what the agent sees of them, per key (N, ...)."""
        episodes = range(self.num_episodes, self.num_episodes + self.envs.num_envs)
        seeds = [episode_seed(self._env_seed, episode) for episode in episodes]
        seen = self.view.begin(self.envs.reset(seeds))
        for lane in range(self.envs.num_envs):
            self.replay.begin(row_of(seen, lane), lane)
        return seen

    def _act(self, seen: Observation, is_guided: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Actions (N, A) on what is seen of each environment, those that have ended included."""
        if self.env_steps < self.schedule.warmup_steps:
            return self.view.sample_warmup_actions(self._rng)
        actions = self.agent.act_each(seen, deterministic=False)
        check_actions(actions, self._now())
        if not is_guided.any():
            return actions
        return np.where(is_guided[:, None], self.view.sample_warmup_actions(self._rng), actions)

    def _store(
        self,
        is_live: NDArray[np.bool_],
        actions: NDArray[np.float32],
        outcome: Outcome,
        seen: Observation,
    ) -> None:
        """Remember and count the steps taken; at the warm-up's end look back at all of them."""
        has_ended = outcome.terminated | outcome.truncated
        is_worthless = outcome.terminated if self.bootstraps else has_ended
        is_due = self.view.is_due | has_ended
        for lane in np.flatnonzero(is_live).tolist():
            self.replay.append(
                actions[lane],
                float(outcome.rewards[lane]),
                row_of(seen, lane),
                terminated=bool(is_worthless[lane]),
                is_due=bool(is_due[lane]),
                lane=lane,
            )
        before = self.env_steps
        self.env_steps += int(np.count_nonzero(is_live))
        if before < self.schedule.warmup_steps <= self.env_steps:
            self.agent.standardize_by(self.replay.all_observations())

    def _learn(self) -> None:
        """Do all updates that are due, once there is something to learn from."""
        schedule = self.schedule
        self.agent.scale_learning_rates(schedule.rate_at(self.env_steps))
        self.agent.widen(schedule.progress_at(self.env_steps))
        num_due = schedule.updates_by(self.env_steps) if len(self.replay) else 0
        while self._num_updates < num_due:
            batch = self.replay.sample(schedule.batch_size, self._rng)
            critic_only = self._num_updates < schedule.critic_only_updates
            self._info = self.agent.update(batch, critic_only=critic_only)
            self._num_updates += 1
            if all(value.device.type == "cpu" for value in self._info.values()):
                self._checked_info()  # of a GPU at the round's end alone: it would wait each time

    def _checked_info(self) -> dict[str, float]:
        """The last update's numbers; see `check_values`."""
        info = {name: float(value) for name, value in self._info.items()}
        check_values(info, f"in update {self._num_updates} ({self._now()})")
        return info

    def _now(self) -> str:
        return f"by env step {self.env_steps} of fine-tuning"
