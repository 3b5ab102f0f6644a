"""What critics are told changes what they say, and never what the agent does or needs to see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from rl_fakes import PARAMS, SPECS, space_of

from parrot_data.errors import UserError
from parrot_data.lockstep import OneEnv
from parrot_models.methods.demonstrations import check_can_be_shown
from parrot_models.methods.privileged import TellingEnv, with_privileged
from parrot_models.methods.table import METHODS, make_agent
from parrot_models.networks.device import CPU
from parrot_models.rl.views import PRIVILEGED
from tests.parrot_models.small_parts import save_part
from tests.toy_world import ReachEnv, make_spec

NAME = "parrot_privileged"
SPEC = make_spec(3, {}, True, True)


class Told(ReachEnv):
    """The toy, whose info can be spoilt."""

    told: dict[str, Any] | None = None

    def _told(self) -> dict[str, Any]:
        info = super()._told()
        return info if self.told is None else {**info, "privileged": self.told}


def toy(told: dict[str, Any] | None = None) -> gymnasium.Env:
    env = Told(3)
    env.told = told
    return TellingEnv(env, SPEC, NAME)


@pytest.fixture
def agent(tmp_path: Path) -> Any:
    method = METHODS[NAME]
    part = method.part.load(save_part(method.part.name, SPEC, tmp_path / "part"), CPU, "fp32")
    view = method.make_view(with_privileged(space_of(SPEC), SPEC, NAME), part, PARAMS)
    return make_agent(method, PARAMS, view, part, 0), view


def seen_by(view: Any, told: float | None) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    plain = {name: rng.standard_normal((2, dim), np.float32) for name, dim in SPEC.vectors.items()}
    seen = view.begin(plain)
    return seen if told is None else {**seen, PRIVILEGED: np.full((2, 3), told, np.float32)}


def test_what_is_told_changes_values_and_no_action(agent: Any) -> None:
    learned, view = agent
    by_told = [seen_by(view, told) for told in (None, 0.0, 1.0)]
    actions = [learned.act_each(seen, deterministic=True) for seen in by_told]
    assert np.array_equal(actions[0], actions[1])
    assert np.array_equal(actions[1], actions[2])
    z = torch.from_numpy(actions[0])
    values = []
    for seen in by_told[1:]:
        encoded = learned.trunk({name: torch.from_numpy(rows) for name, rows in seen.items()})
        assert encoded.shape == (2, learned.trunk.output_dim)
        assert torch.equal(
            encoded[:, : learned.trunk.actor_dim],
            learned.trunk.for_actor(
                {name: torch.from_numpy(rows) for name, rows in by_told[0].items()}
            ),
        )
        values.append(learned.critic(encoded, z))
    assert not torch.equal(*values)


def test_an_environment_tells_what_its_info_holds() -> None:
    env = OneEnv(toy())
    first = env.reset([3])
    assert np.array_equal(first[PRIVILEGED], first["goal"])  # which is the toy's secret, too
    env.start_step(np.zeros((1, 3), np.float32))
    assert np.array_equal(env.finish_step().observations[PRIVILEGED], first[PRIVILEGED])


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({}, "does not tell 'goal_position'"),
        ({"goal_position": np.zeros(4)}, "tells 4 numbers"),
    ],
)
def test_what_is_not_told_as_the_spec_says_is_one_sentence(told: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        toy(told).reset(seed=0)


def test_a_world_that_tells_nothing_is_one_sentence() -> None:
    spec = SPECS["one image"].model_copy(update={"privileged": {}})
    with pytest.raises(UserError, match="tells nothing privileged"):
        with_privileged(space_of(spec), spec, NAME)


def test_demonstrations_do_not_tell() -> None:
    with pytest.raises(UserError, match="no demonstration has to hold"):
        check_can_be_shown(NAME, PARAMS)
