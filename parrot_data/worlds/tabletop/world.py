"""The tabletop as a world: what it shows, its tasks, its scripts, its unseen scenes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import gymnasium
import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.rollout import Observation, SelectAction
from parrot_data.episodes.spec import (
    ActionSpec,
    ArraySpec,
    CameraSpec,
    EpisodeSpec,
    ImageSpec,
    MirrorSpec,
    ObservationSpec,
    ToolSpec,
    VectorSpec,
)
from parrot_data.worlds.noise import noisy_action
from parrot_data.worlds.tabletop.camera import PROJECTION, VIEW
from parrot_data.worlds.tabletop.env import (
    ACTION_DIM,
    CONTROL_RATE_HZ,
    PROPRIOCEPTION_DIM,
    TabletopEnv,
)
from parrot_data.worlds.tabletop.objects import Split
from parrot_data.worlds.tabletop.params import MAX_OBJECTS, TabletopParams
from parrot_data.worlds.tabletop.random_task import draw_random_task
from parrot_data.worlds.tabletop.scripts.script import make_script
from parrot_data.worlds.tabletop.tasks import FAMILIES, TASKS, Family, named_task
from parrot_data.worlds.world import Demonstrator, Env, known

IMAGE, PROPRIOCEPTION = "image", "proprioception"
OBJECT_HEIGHT_M = 0.02  # z of the middle of an object that lies on the table
# The scene, the arm and the camera are symmetric about the plane y = 0. Under that reflection a
# position's y changes sign; a rotation vector is a pseudovector, so its x and z do.
MIRRORED_ACTION = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0]
# Position (x, y, z), quaternion (x, y, z, w), opening.
MIRRORED_PROPRIOCEPTION = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 1.0]
NUM_UNSEEN = [2, 2]  # objects of an unseen scene, one of them the target: what the tasks look like


class TabletopWorld:
    """The paper's world: an arm that picks, places and opens drawers; see `TabletopEnv`.

    Args:
        params: section `environment`.
    """

    tasks: Sequence[str] = tuple(TASKS)
    families: Sequence[str] = FAMILIES

    def __init__(self, params: TabletopParams) -> None:
        self.params = params
        self.spec = spec_of(params)
        self.max_steps = params.episode_steps

    def make_env(self, task: str, render_mode: str | None = None) -> Env:
        """See `World`."""
        named = named_task(task)
        return TabletopEnv(self.params, lambda _rng: named, render_mode)

    def unseen(self, family: str, render_mode: str | None = None) -> Env:
        """See `World`: two objects, and a container or drawer, of the test split."""
        return self._scenes(known(family, FAMILIES, "family"), NUM_UNSEEN, "test", render_mode)

    def demonstrator(self) -> Demonstrator:
        """See `World`."""
        return TabletopDemonstrator(self)

    def training_scenes(self, family: str) -> Env:
        """Random scenes of a family as the data show them."""
        return self._scenes(family, self.params.demonstrations.num_objects, "train", None)

    def _scenes(
        self, name: str, num_objects: Sequence[int], split: Split, render_mode: str | None
    ) -> TabletopEnv:
        family = cast(Family, name)
        return TabletopEnv(
            self.params, lambda rng: draw_random_task(rng, family, num_objects, split), render_mode
        )


class TabletopDemonstrator:
    """The scripts: random training scenes of a family, or those of a fine-tuning task.

    Args:
        world: the tabletop.
    """

    tasks: Sequence[str] = (*FAMILIES, *TASKS)

    def __init__(self, world: TabletopWorld) -> None:
        self._world = world

    def make_env(self, task: str) -> Env:
        """See `Demonstrator`."""
        if known(task, self.tasks, "task") in TASKS:
            return self._world.make_env(task)
        return self._world.training_scenes(task)

    def begin(self, env: gymnasium.Env[Any, Any], rng: np.random.Generator) -> SelectAction:
        """See `Demonstrator`."""
        tabletop = cast(TabletopEnv, env.unwrapped)
        script = make_script(tabletop, rng)
        noise = self._world.params.demonstrations.action_noise

        def select_action(_observation: Observation) -> NDArray[np.float32]:
            return noisy_action(script.action(), noise, rng)

        return select_action


def spec_of(params: TabletopParams) -> EpisodeSpec:
    """What the tabletop's episodes hold; without proprioception that is privileged."""
    observations: dict[str, ObservationSpec] = {
        IMAGE: ImageSpec(height=params.image_size, width=params.image_size)
    }
    privileged = {
        "object_positions": ArraySpec(dtype="float32", shape=[MAX_OBJECTS, 3]),
        "target_position": ArraySpec(dtype="float32", shape=[3]),
    }
    if params.proprioception:
        observations[PROPRIOCEPTION] = VectorSpec(dim=PROPRIOCEPTION_DIM)
    else:
        privileged[PROPRIOCEPTION] = ArraySpec(dtype="float32", shape=[PROPRIOCEPTION_DIM])
    return EpisodeSpec(
        observations=observations,
        action=ActionSpec(dim=ACTION_DIM, low=[-1.0] * ACTION_DIM, high=[1.0] * ACTION_DIM),
        control_rate_hz=CONTROL_RATE_HZ,
        cameras={IMAGE: CameraSpec(view=list(VIEW), projection=list(PROJECTION))},
        tool=ToolSpec(vector=PROPRIOCEPTION, position=[0, 1, 2], surface_height_m=OBJECT_HEIGHT_M),
        mirror=MirrorSpec(
            action=MIRRORED_ACTION, vectors={PROPRIOCEPTION: MIRRORED_PROPRIOCEPTION}
        ),
        privileged=privileged,
    )
