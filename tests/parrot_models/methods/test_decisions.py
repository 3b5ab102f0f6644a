from __future__ import annotations

import numpy as np
import pytest
import torch
from rl_fakes import (
    BESIDE,
    EPISODE_STEPS,
    ONE_IMAGE,
    FakeModel,
    FakeOptions,
    FakeTrajectories,
    PointEnv,
    pad,
    space_of,
)

from parrot_models.methods.hirl import OptionView, SeenOptions
from parrot_models.methods.traj_rl import SeenTrajectories, TrajectoryView
from parrot_models.rl.views import Seeing, ViewedEnv

SPACE = space_of(ONE_IMAGE)


def observations(*places):
    """What robots at these places see."""
    env = PointEnv()
    env.reset(seed=0)
    rows = []
    for place in places:
        env._point = np.array(place)
        rows.append(env._observe())
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def latents(num_robots, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (num_robots, 3)).astype(np.float32)


@pytest.mark.parametrize("chunk", [2, 3, EPISODE_STEPS, 9])
def test_a_trajectory_is_executed_step_by_step_and_then_another(chunk):
    model = FakeTrajectories()
    view = TrajectoryView(SPACE, SeenTrajectories(model, *BESIDE), 2.0, Seeing("features", chunk))
    length = min(chunk, model.num_steps)
    assert view.fewest_steps == length
    seen, plan = observations((0.2, -0.4), (0.9, 0.1)), None
    view.begin(seen)
    for step in range(12):
        is_new = step % length == 0
        assert view.is_due.tolist() == [is_new] * 2
        said = latents(2, seed=step)
        if is_new:
            plan = model.decode(
                torch.from_numpy(said),
                model.context({k: torch.from_numpy(v) for k, v in seen.items()}),
            )
        executed = view.executed(said)
        np.testing.assert_array_equal(executed, plan[:, step % length].numpy())
        seen = observations((0.1 * step - 0.5, 0.0), (0.0, 0.05 * step))
        view.see(seen)


class TimedOptions(FakeModel):
    """Ends with a chance that its first dimension says; moves as the others say."""

    def act(self, z, _context):
        return pad(z, self.spec.action.dim)

    def ends(self, z, _context):
        return z[:, 0]


def due_after(chances, most_steps, num_steps=20):
    """The steps, robot by robot, after which a decision was due."""
    view = OptionView(
        SPACE, SeenOptions(TimedOptions(), *BESIDE), 2.0, Seeing("features", most_steps)
    )
    z = np.zeros((len(chances), 3), np.float32)
    z[:, 0] = chances
    seen = observations(*[(0.0, 0.0)] * len(chances))
    view.begin(seen)
    due = [[] for _ in chances]
    for step in range(num_steps):
        view.executed(z)
        view.see(seen)
        for robot in np.flatnonzero(view.is_due):
            due[robot].append(step + 1)
    return due


def test_each_robot_ends_its_option_at_the_median_of_its_length():
    # 0.7^2 < 0.5 <= 0.7; 0.9^7 < 0.5 <= 0.9^6
    certain, likely, seldom = due_after([1.0, 0.3, 0.1], most_steps=50)
    assert certain == list(range(1, 21))
    assert likely == list(range(2, 21, 2))
    assert seldom == [7, 14]


def test_an_option_that_never_ends_ends_after_the_most_steps():
    assert due_after([0.0, 0.1], most_steps=4) == [[4, 8, 12, 16, 20]] * 2


def test_what_is_said_while_an_option_lasts_is_not_looked_at():
    view = OptionView(SPACE, SeenOptions(TimedOptions(), *BESIDE), 2.0, Seeing("features", 3))
    view.begin(observations((0.0, 0.0)))
    first = np.array([[0.0, 0.5, -0.5]], np.float32)
    for step in range(3):
        said = first if step == 0 else latents(1, seed=step)
        np.testing.assert_array_equal(view.executed(said)[0, :3], first[0])
        view.see(observations((0.0, 0.0)))
    other = latents(1, seed=9)
    np.testing.assert_array_equal(view.executed(other)[0, :3], other[0])


def test_an_episode_begins_with_a_decision_whatever_the_last_one_did():
    view = OptionView(SPACE, SeenOptions(TimedOptions(), *BESIDE), 2.0, Seeing("features", 3))
    env = ViewedEnv(PointEnv(), view)
    for episode in range(3):
        env.reset(seed=episode)
        z = latents(1, seed=episode)[0]
        z[0] = 0.1 * episode
        *_, info = env.step(z)
        np.testing.assert_array_equal(info["executed_action"][:3], z)
        if not view.is_due[0]:
            env.step(z)


def test_options_and_trajectories_are_warmed_up_by_samples_of_n_0_i():
    for view in (
        OptionView(SPACE, SeenOptions(FakeOptions(), *BESIDE), 1.5, Seeing("features", 3)),
        TrajectoryView(
            SPACE, SeenTrajectories(FakeTrajectories(), *BESIDE), 1.5, Seeing("features", 3)
        ),
    ):
        view.begin(observations((0.0, 0.0)))
        rng = np.random.default_rng(0)
        z = np.concatenate([view.sample_warmup_actions(rng) for _ in range(2000)])
        assert z.shape == (2000, 3)
        assert np.abs(z).max() == 1.5
        assert abs(z.std() - 0.87) < 0.05  # of N(0, 1) clipped to 1.5
        assert view.action_space.contains(z[0])
