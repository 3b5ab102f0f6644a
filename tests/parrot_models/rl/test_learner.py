from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rl_fakes import BESIDE, EPISODE_STEPS, FakePrior, FakeTrajectories, PointEnv

from parrot_data.episodes.rollout import episode_seed
from parrot_data.lockstep import OneEnv
from parrot_models.methods.traj_rl import SeenTrajectories, TrajectoryView
from parrot_models.rl.learner import Learner, Schedule
from parrot_models.rl.replay import ReplayBuffer
from parrot_models.rl.views import FEATURES, DirectView, GuidedView, Seeing

SAID = 0.25  # by the agent, in every dimension
DISCOUNT = 0.9


class StubAgent:
    """Always says the same and never learns."""

    def __init__(self, dim):
        self.dim, self.num_updates = dim, 0

    def act_each(self, seen, *, deterministic):
        return np.full((len(seen[FEATURES]), self.dim), SAID, np.float32)

    def update(self, batch, *, critic_only):
        self.num_updates += 1
        return {}

    def scale_learning_rates(self, factor):
        pass

    def widen(self, progress):
        pass

    def standardize_by(self, observations):
        pass


def make_learner(env, view, *, seed=0, bootstraps=True, **changes):
    dim = view.action_space.shape[0]
    replay = ReplayBuffer(1000, view.observation_space, dim, 1, DISCOUNT)
    values = {
        "warmup_steps": 2 * EPISODE_STEPS, "critic_only_updates": 0, "batch_size": 4, "utd": 1.0,
        "total_steps": 1000, "final_rate": 1.0,
    }  # fmt: skip
    return Learner(
        OneEnv(env), view, StubAgent(dim), replay, Schedule(**values | changes),
        seed=seed, stores_executed=False, bootstraps=bootstraps,
    )  # fmt: skip


def is_said(env):
    """Episode by episode, whether the robot executed what the agent said in every step, in none."""
    said = (np.array(env.executed) == SAID).all(-1).reshape(-1, EPISODE_STEPS)
    assert (said.all(-1) | ~said.any(-1)).all()
    return said.all(-1)


def guided_view(env):
    return GuidedView(env.observation_space, FakePrior(), 2.0, Seeing("features"))


def trajectory_view(env, chunk):
    model = SeenTrajectories(FakeTrajectories(), *BESIDE)
    return TrajectoryView(env.observation_space, model, 2.0, Seeing("features", chunk))


def test_first_episodes_are_guided_beyond_the_warm_up():
    env = PointEnv()
    learner = make_learner(env, guided_view(env), guided_episodes=5)
    for _ in range(8):
        learner.run_round()
    assert is_said(env).tolist() == [False] * 5 + [True] * 3
    assert learner.agent.num_updates == 6 * EPISODE_STEPS  # from the end of the warm-up on


def test_a_share_of_the_episodes_is_guided_to_their_end():
    env = PointEnv()
    learner = make_learner(env, guided_view(env), guided_share=0.3, utd=0.0)
    for _ in range(202):
        learner.run_round()
    said = is_said(env)
    assert not said[:2].any()
    assert 0.6 < said[2:].mean() < 0.8  # 0.7 is six deviations of 0.032 away from none


def test_without_a_share_no_chance_is_drawn_for_it():
    env = PointEnv()
    learner = make_learner(env, DirectView(env.observation_space, FakePrior(), Seeing("features")))
    for _ in range(2):
        learner.run_round()
    before = learner._rng.bit_generator.state
    learner.schedule = replace(learner.schedule, utd=0.0)
    learner.run_round()
    assert learner._rng.bit_generator.state == before


@pytest.mark.parametrize(("chunk", "lengths"), [(5, [5]), (3, [3, 2]), (2, [2, 2, 1])])
@pytest.mark.parametrize("bootstraps", [True, False])
def test_the_replay_holds_decisions(chunk, lengths, bootstraps):
    env = PointEnv()
    view = trajectory_view(env, chunk)
    learner = make_learner(env, view, seed=1, bootstraps=bootstraps, utd=0.0)
    (episode,) = learner.run_round()
    assert episode.env_steps == learner.env_steps == EPISODE_STEPS
    assert len(learner.replay) == len(lengths)
    batch = learner.replay.sample(100, np.random.default_rng(0))
    by_place = {}
    for row in range(100):
        key = tuple(batch.observations[FEATURES][row].tolist())
        by_place[key] = (batch.returns[row].item(), batch.discounts[row].item())
    discounts = sorted(discount for _, discount in by_place.values())
    ends = [
        0.0 if not bootstraps and i == len(lengths) - 1 else DISCOUNT**n
        for i, n in enumerate(lengths)
    ]
    assert discounts == pytest.approx(sorted(ends))


def test_updates_wait_for_the_first_decision_to_end():
    env = PointEnv()
    view = trajectory_view(env, 5)
    learner = make_learner(env, view, warmup_steps=1)
    learner.run_round()
    assert learner.agent.num_updates == EPISODE_STEPS - 1


def test_returns_of_decisions_add_up_to_the_episodes():
    for seed in range(20):
        env = PointEnv()
        view = trajectory_view(env, 2)
        learner = make_learner(env, view, seed=seed)
        learner.replay.discount = 1.0
        (episode,) = learner.run_round()
        held = learner.replay._rewards[learner.replay._has_action]
        assert held.sum() == pytest.approx(episode.episode_return)


@pytest.mark.parametrize("ends", [True, False])
def test_what_terminates_is_worth_nothing_after_and_what_is_cut_off_is(ends):
    env = PointEnv(ends=ends)
    learner = make_learner(env, DirectView(env.observation_space, FakePrior(), Seeing("features")))
    discounts, lengths = set(), set()
    for _ in range(20):
        before = learner.env_steps
        (episode,) = learner.run_round()
        lengths.add(episode.env_steps - before)
    batch = learner.replay.sample(500, np.random.default_rng(0))
    discounts = {round(value, 3) for value in batch.discounts.tolist()}
    assert discounts == ({0.0, DISCOUNT} if ends else {DISCOUNT})
    assert (batch.returns[batch.discounts == 0] == 1.0).all()
    assert (len(lengths) > 1) == ends


def test_episode_e_of_a_run_is_reset_with_a_seed_of_its_own():
    seeds = []

    class Watched(PointEnv):
        def reset(self, *, seed=None, options=None):
            seeds.append(seed)
            return super().reset(seed=seed)

    env = Watched()
    learner = make_learner(
        env, DirectView(env.observation_space, FakePrior(), Seeing("features")), seed=3
    )
    for _ in range(4):
        learner.run_round()
    assert seeds == [episode_seed(learner._env_seed, episode) for episode in range(4)]
    assert len(set(seeds)) == 4
