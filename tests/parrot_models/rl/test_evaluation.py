from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence
from rl_fakes import EPISODE_STEPS, PointEnv

from parrot_data.episodes.rollout import episode_seed
from parrot_data.errors import UserError
from parrot_models.rl.evaluation import check_can_be_filmed, evaluate_agent, record_gif


def to_the_origin(observation):
    action = np.zeros(7, np.float32)
    action[:2] = (-2 * observation["pose"][:2]).clip(-1, 1)
    return action


def stay(_observation):
    return np.zeros(7, np.float32)


def away(_observation):
    return np.ones(7, np.float32)


def test_success_rate_counts_the_last_step_alone():
    env = PointEnv()
    assert evaluate_agent(env, to_the_origin, seed=0, num_episodes=10).success_rate == 1.0
    assert evaluate_agent(env, away, seed=0, num_episodes=10).success_rate == 0.0
    result = evaluate_agent(env, stay, seed=0, num_episodes=50)
    assert 0 < result.success_rate < 0.5
    # Who stays is inside all the time or not at all.
    assert result.episode_returns == [EPISODE_STEPS * float(s) for s in result.successes]


def test_every_agent_meets_the_same_scenes():
    met = []

    class Watch(PointEnv):
        def reset(self, **kwargs):
            observation, info = super().reset(**kwargs)
            met[-1].append(observation["pose"].tolist())
            return observation, info

    for policy in (to_the_origin, away):
        env = Watch()
        met.append([])
        evaluate_agent(env, policy, seed=4, num_episodes=5)
    assert met[0] == met[1]
    assert len({tuple(place) for place in met[0]}) == 5


def test_outcomes_are_rates_of_what_the_last_step_tells():
    result = evaluate_agent(PointEnv(), away, seed=0, num_episodes=20)
    assert result.outcomes == {"touched": 0.0, "wrong_object": 1.0}
    result = evaluate_agent(PointEnv(), to_the_origin, seed=0, num_episodes=20)
    assert result.outcomes["touched"] == 1.0
    assert 0 < result.outcomes["wrong_object"] < 1  # some begin near the origin


def test_an_environment_without_outcomes_has_none():
    class Plain(PointEnv):
        def _info(self):
            return {"is_success": super()._info()["is_success"]}

    assert evaluate_agent(Plain(), away, seed=0, num_episodes=3).outcomes == {}


def test_an_episode_ends_where_it_terminates():
    env = PointEnv(ends=True)
    result = evaluate_agent(env, to_the_origin, seed=0, num_episodes=20)
    assert result.success_rate == 1.0
    assert set(result.episode_returns) == {1.0}
    assert len(env.executed) < 20 * EPISODE_STEPS / 2


def test_an_environment_has_to_say_what_success_is():
    class Silent(PointEnv):
        def step(self, action):
            return *super().step(action)[:4], {}

    with pytest.raises(UserError, match="is_success"):
        evaluate_agent(Silent(), away, seed=0, num_episodes=1)


def test_an_action_that_is_not_finite_is_named():
    def nowhere(_observation):
        return np.full(7, np.nan, np.float32)

    with pytest.raises(UserError, match="evaluation episode 0"):
        evaluate_agent(PointEnv(), nowhere, seed=0, num_episodes=1)


def test_progress_is_called_after_every_episode():
    calls = []
    evaluate_agent(
        PointEnv(), away, seed=0, num_episodes=3, progress=lambda *call: calls.append(call)
    )
    assert [(done, total) for done, total, _ in calls] == [(1, 3), (2, 3), (3, 3)]


def test_a_film_shows_every_observation_and_is_byte_stable(tmp_path):
    paths = [tmp_path / "a.gif", tmp_path / "b.gif"]
    for path in paths:
        record_gif(PointEnv(), to_the_origin, seed=0, episode_indices=[2, 5], path=path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with Image.open(io.BytesIO(paths[0].read_bytes())) as film:
        frames = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
    env = PointEnv()
    env.reset(seed=episode_seed(0, 2))
    assert np.array_equal(frames[0], env.render())
    assert frames[0].shape == (48, 48, 3)


def test_an_env_without_images_of_itself_cannot_be_filmed(tmp_path):
    class Blind(PointEnv):
        def render(self):
            return None

    with pytest.raises(UserError, match=r"finetune\.video_episodes to 0"):
        record_gif(Blind(), away, seed=0, episode_indices=[0], path=tmp_path / "film.gif")
    with pytest.raises(UserError, match="rgb_array"):
        check_can_be_filmed(Blind())
    check_can_be_filmed(PointEnv())
