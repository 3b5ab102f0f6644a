"""The loop of reinforcement learning: act, store, update, one episode at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parrot_models.rl.latent_env import FeatureEnv
from parrot_models.rl.replay_buffer import Observation, ReplayBuffer
from parrot_models.rl.sac import SAC, Info


@dataclass(frozen=True)
class EpisodeSummary:
    """One episode of training.

    Attributes:
        env_steps: taken in all, at its end.
        episode_return: undiscounted sum of rewards.
        success: whether the task's predicate held after the last step.
        info: of the last update, empty during the warm-up.
    """

    env_steps: int
    episode_return: float
    success: bool
    info: Info


class Learner:
    """An agent, its env and its memory.

    Between episodes `state_dict` holds all there is: the env's next episode is a function of the
    seed and the number of episodes.

    Args:
        env: as the method made it.
        agent: learns.
        replay: empty.
        seed: of the training episodes, the warm-up and the draws from the replay buffer.
        warmup_steps: env steps of warm-up actions before the first update.
        batch_size: transitions an update.
        critic_only_updates: first updates, in which the actor stays as it is: it would follow
            critics that know nothing yet, and lose what the prior gave it.
        utd: updates per env step after the warm-up; may be a fraction.
        total_steps: env steps of the whole run, over which learning rates fall linearly.
        final_rate: share of the learning rates that is left at its end.
        stores_executed: whether the replay holds what the robot executed, not what the agent said.
    """

    def __init__(
        self,
        env: FeatureEnv,
        agent: SAC,
        replay: ReplayBuffer,
        *,
        seed: int,
        warmup_steps: int,
        critic_only_updates: int,
        batch_size: int,
        utd: float,
        total_steps: int,
        final_rate: float,
        stores_executed: bool,
    ) -> None:
        self.env, self.agent, self.replay = env, agent, replay
        self.warmup_steps, self.batch_size, self.utd = warmup_steps, batch_size, utd
        self.critic_only_updates = critic_only_updates
        self.total_steps, self.final_rate = total_steps, final_rate
        self.stores_executed = stores_executed
        self.env_steps = 0
        self.num_episodes = 0
        self._num_updates = 0
        self._info: Info = {}
        # Spread, so that no training scene is an evaluation scene because two small seeds agree.
        scenes, draws = np.random.SeedSequence(seed).spawn(2)
        self._env_seed = int(scenes.generate_state(1)[0])
        self._rng = np.random.default_rng(draws)

    def run_episode(self) -> EpisodeSummary:
        """Live through one episode, learning at every step once the warm-up is over."""
        options = {"episode_index": self.num_episodes}
        observation, _ = self.env.reset(seed=self._env_seed, options=options)
        self.replay.begin(observation)
        episode_return, ended = 0.0, False
        while not ended:
            action = self._act(observation)
            observation, reward, terminated, truncated, info = self.env.step(action)
            stored = info["executed_action"] if self.stores_executed else action
            self.replay.append(stored, float(reward), observation, terminated=terminated)
            self.env_steps += 1
            self._learn()
            episode_return += float(reward)
            ended = terminated or truncated
        self.num_episodes += 1
        return EpisodeSummary(
            self.env_steps, episode_return, bool(info["is_success"]), dict(self._info)
        )

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs; valid between episodes."""
        return {
            "agent": self.agent.state_dict(),
            "replay": self.replay.state_dict(),
            "rng": self._rng.bit_generator.state,
            "counts": [self.env_steps, self.num_episodes, self._num_updates],
            "info": self._info,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` of a learner of the same construction gave."""
        self.agent.load_state_dict(state["agent"])
        self.replay.load_state_dict(state["replay"])
        self._rng.bit_generator.state = state["rng"]
        self.env_steps, self.num_episodes, self._num_updates = state["counts"]
        self._info = state["info"]

    def _act(self, observation: Observation) -> NDArray[np.float32]:
        if self.env_steps < self.warmup_steps:
            return self.env.sample_warmup_action(self._rng)
        return self.agent.act(observation, deterministic=False)

    def _learn(self) -> None:
        steps_since_warmup = self.env_steps - self.warmup_steps
        if steps_since_warmup == 0:
            lived = self.replay.all_observations()
            self.agent.trunk.standardize_by({k: torch.from_numpy(v) for k, v in lived.items()})
        self.agent.scale_learning_rates(self._rate())
        while self._num_updates < int(self.utd * steps_since_warmup):
            batch = self.replay.sample(self.batch_size, self._rng)
            critic_only = self._num_updates < self.critic_only_updates
            self._info = self.agent.update(batch, critic_only=critic_only)
            self._num_updates += 1

    def _rate(self) -> float:
        """Share of the learning rates at this step: a late critic should no longer jump."""
        progress = min(1.0, self.env_steps / self.total_steps)
        return 1.0 + (self.final_rate - 1.0) * progress
