"""Meta-World as a world: its 50 tasks, its scripts, ML45's unseen tasks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

import parrot_data.worlds.metaworld.headless  # noqa: F401  # isort: skip
import gymnasium
import numpy as np
from metaworld.policies import ENV_POLICY_MAP
from metaworld.policies.policy import Policy
from numpy.typing import NDArray

from parrot_data.episodes.rollout import Observation, SelectAction
from parrot_data.episodes.spec import (
    ActionSpec,
    EpisodeSpec,
    ImageSpec,
    ObservationSpec,
    VectorSpec,
)
from parrot_data.worlds.metaworld.env import (
    ACTION_DIM,
    IMAGE,
    SIMULATED_RATE_HZ,
    STATE,
    STATE_DIM,
    VERSION,
    MetaworldEnv,
)
from parrot_data.worlds.metaworld.params import MetaworldParams
from parrot_data.worlds.metaworld.tasks import TASKS, UNSEEN
from parrot_data.worlds.noise import noisy_action
from parrot_data.worlds.world import Demonstrator, Env, known


class MetaworldWorld:
    """Meta-World as a `World`; a family of unseen scenes is one of ML45's test tasks.

    Args:
        params: section `environment`.
    """

    tasks: Sequence[str] = TASKS
    families: Sequence[str] = UNSEEN

    def __init__(self, params: MetaworldParams) -> None:
        self.params = params
        self.spec = spec_of(params)
        self.max_steps = params.episode_steps

    def make_env(self, task: str, render_mode: str | None = None) -> Env:
        """See `World`."""
        return MetaworldEnv(self.params, known(task, TASKS, "task"), render_mode)

    def unseen(self, family: str) -> Env:
        """See `World`."""
        return self.make_env(known(family, UNSEEN, "family"))

    def demonstrator(self) -> Demonstrator:
        """See `World`."""
        return MetaworldDemonstrator(self)


class MetaworldDemonstrator:
    """The package's scripted policies, with noise on their actions.

    Args:
        world: Meta-World.
    """

    tasks: Sequence[str] = TASKS

    def __init__(self, world: MetaworldWorld) -> None:
        self._world = world

    def make_env(self, task: str) -> Env:
        """See `Demonstrator`."""
        return self._world.make_env(task)

    def begin(self, env: gymnasium.Env[Any, Any], rng: np.random.Generator) -> SelectAction:
        """See `Demonstrator`."""
        acted_in = cast(MetaworldEnv, env.unwrapped)
        make_script: Callable[[], Policy] = ENV_POLICY_MAP[acted_in.task + VERSION]
        script = make_script()
        noise = self._world.params.demonstrations.action_noise

        def select_action(_observation: Observation) -> NDArray[np.float32]:
            with warnings.catch_warnings():  # that it asks for more than an action can be: it does
                warnings.simplefilter("ignore", UserWarning)
                wanted = np.asarray(script.get_action(acted_in.state), np.float64)
            return noisy_action(wanted.clip(-1.0, 1.0), noise, rng)

        return select_action


def spec_of(params: MetaworldParams) -> EpisodeSpec:
    """What Meta-World's episodes hold."""
    observations: dict[str, ObservationSpec] = {STATE: VectorSpec(dim=STATE_DIM)}
    if params.image_size is not None:
        observations[IMAGE] = ImageSpec(height=params.image_size, width=params.image_size)
    return EpisodeSpec(
        observations=observations,
        action=ActionSpec(dim=ACTION_DIM, low=[-1.0] * ACTION_DIM, high=[1.0] * ACTION_DIM),
        control_rate_hz=SIMULATED_RATE_HZ / params.action_repeat,
        cameras={},
        tool=None,
        mirror=None,
        privileged={},
    )
