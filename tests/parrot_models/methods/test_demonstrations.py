"""Demonstrations of the task itself: what an agent remembers is what the robot was shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Dict
from rl_fakes import PARAMS, SPECS, space_of

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_models.methods.demonstrations import (
    check_can_be_shown,
    num_slots,
    read_demonstrations,
    remember,
)
from parrot_models.methods.names import REACH_OF_METHOD
from parrot_models.methods.table import METHODS, critic_action_dim
from parrot_models.networks.device import CPU
from parrot_models.rl.replay import DemoReplay, ReplayBuffer
from tests.parrot_models.small_parts import save_part
from tests.parrot_models.small_shards import made_up_episode, write_shards

ABLE = [n for n, reach in REACH_OF_METHOD.items() if reach in ("actions", "latents")]
SHOWN = [name for name in ABLE if name not in ("parrot_demo", "parrot_privileged")]
CASES = [  # a VAE of images sees nothing where there are none
    pytest.param(name, spec, id=f"{name}-{kind}")
    for name in SHOWN
    for kind, spec in SPECS.items()
    if spec.images or METHODS[name].part.name != "vae"
]
DISCOUNT = 0.9


def episodes(spec: EpisodeSpec, lengths: tuple[int, ...] = (4, 1, 6)):
    made = [made_up_episode(spec, index, length) for index, length in enumerate(lengths)]
    return [replace(e, rewards=np.arange(1.0, len(e.rewards) + 1, dtype=np.float32)) for e in made]


def memory_of(space: Dict, width: int, capacity: int) -> ReplayBuffer:
    return ReplayBuffer(capacity, space, width, n_step=1, discount=DISCOUNT)


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_an_agent_remembers_what_makes_its_robot_do_what_was_shown(
    name: str, spec: EpisodeSpec, tmp_path: Path
) -> None:
    method, shown = METHODS[name], episodes(spec)
    part = method.part.load(save_part(method.part.name, spec, tmp_path / "part"), CPU, "fp32")
    view = method.make_view(space_of(spec), part, PARAMS)
    width = critic_action_dim(method, view, part)
    memory = memory_of(view.observation_space, width, num_slots(shown))
    remember(shown, view, memory, stores_executed=method.executed is not None)
    assert len(memory) == sum(episode.num_steps for episode in shown)

    batch = memory.sample(200, np.random.default_rng(0))
    rewards = batch.returns.numpy().astype(int)
    assert set(rewards) == {1, 2, 3, 4, 5, 6}  # the step of an episode, from 1 on
    for row in range(0, 200, 10):
        step = rewards[row] - 1
        at = [e for e in shown if e.num_steps > step]
        said = batch.actions[row].numpy()
        done = [executed(said, e, step, view, method.executed is not None) for e in at]
        close = [np.allclose(d, e.actions[step], atol=1e-4) for d, e in zip(done, at, strict=True)]
        assert sum(close) == 1
        episode = at[close.index(True)]
        ends = episode.terminated and step + 1 == episode.num_steps
        assert batch.discounts[row].item() == pytest.approx(0.0 if ends else DISCOUNT)


def executed(said, episode, step, view, is_executed):
    """What the robot does when the agent says this in a step of an episode."""
    if is_executed:
        return said
    view.begin({name: values[step : step + 1] for name, values in episode.observations.items()})
    return view.executed(said[None])[0]


def test_half_of_each_batch_is_of_demonstrations_however_many_others_there_are() -> None:
    spec = SPECS["vector alone"]
    space = space_of(spec)
    kept, recent = memory_of(space, 1, 8), memory_of(space, 1, 500)
    observation = {name: values[0] for name, values in episodes(spec)[0].observations.items()}
    kept.begin(observation)
    kept.append(np.full(1, 7.0), 1.0, observation, terminated=True)
    both = DemoReplay(recent, kept, 0)
    both.begin(observation)
    for _ in range(300):
        both.append(np.full(1, -7.0), 0.0, observation, terminated=False)
    assert len(both) == 300
    actions = both.sample(64, np.random.default_rng(0)).actions
    assert (actions == 7.0).sum() == (actions == -7.0).sum() == 32
    assert len(kept) == 1


@pytest.mark.parametrize("name", sorted(METHODS.keys() - set(SHOWN)))
def test_who_cannot_say_it_is_told_so(name: str) -> None:
    with pytest.raises(UserError, match=rf"{name} .*choose"):
        check_can_be_shown(name, PARAMS)


def test_decisions_of_several_steps_were_not_shown() -> None:
    check_can_be_shown("parrot", PARAMS)
    with pytest.raises(UserError, match=r"hold_steps is 2.*set it to 1"):
        check_can_be_shown("parrot", PARAMS.model_copy(update={"hold_steps": 2}))


def test_only_episodes_of_the_task_in_such_an_environment_are_read(tmp_path: Path) -> None:
    spec = SPECS["vector alone"]
    made = episodes(spec)
    told = [replace(made[0], task="near"), replace(made[1], task="far"), made[2]]
    folder = write_shards(tmp_path / "shards", told, spec)
    (found,) = read_demonstrations(folder, "far", spec)
    assert found.index == 1
    np.testing.assert_array_equal(found.actions, made[1].actions)
    with pytest.raises(UserError, match=r"no demonstrations of sideways, only of far, near, reach"):
        read_demonstrations(folder, "sideways", spec)
    with pytest.raises(UserError, match=r"another environment.*observations\."):
        read_demonstrations(folder, "far", SPECS["one image"])


def test_an_action_without_a_finite_z_is_named(tmp_path: Path) -> None:
    spec, method = SPECS["vector alone"], METHODS["parrot"]
    part = method.part.load(save_part("prior", spec, tmp_path / "part"), CPU, "fp32")
    view = method.make_view(space_of(spec), part, PARAMS)
    (episode,) = episodes(spec, (3,))
    episode.actions[2] = torch.inf
    memory = memory_of(view.observation_space, 1, 4)
    with pytest.raises(UserError, match="step 2 of the demonstration 0 has no finite z"):
        remember([episode], view, memory, stores_executed=False)
