"""Scripted episodes of random scenes, each a function of (params, seed, index)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.rollout import SelectAction, collect_episode
from parrot_data.streams import generator
from parrot_data.worlds.tabletop.containers import container_names
from parrot_data.worlds.tabletop.drawer import drawer_names
from parrot_data.worlds.tabletop.env import Observation, TabletopEnv
from parrot_data.worlds.tabletop.objects import Split, object_ids
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.scripts.drawer import DrawerPolicy, draw_drawer_style
from parrot_data.worlds.tabletop.scripts.grasp import GraspPolicy, GraspVariety, draw_grasp_style
from parrot_data.worlds.tabletop.scripts.noise import noisy_action
from parrot_data.worlds.tabletop.scripts.place import PlacePolicy, draw_place_style
from parrot_data.worlds.tabletop.tasks import TASKS, Family, Task

# A grasp alone has time to spare.
VARIETY = GraspVariety(min_speed=0.3, max_detour_steps=5, min_detour_height=0.03, max_stumbles=1)


def draw_random_task(
    rng: np.random.Generator,
    families: Mapping[str, float],
    num_objects: Sequence[int],
    split: Split,
) -> Task:
    """Draw a family by weight, distinct objects of a split, and the container or drawer it needs.

    Args:
        rng: the episode's generator.
        families: weight of each family; a fine-tuning task among them is taken as it is.
        num_objects: least and greatest number of objects in the scene, a drawer among them.
        split: which objects, containers and drawers.
    """
    names = sorted(families)
    weights = np.array([families[name] for name in names], dtype=np.float64)
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    if name in TASKS:
        return TASKS[name]
    family: Family = name  # type: ignore[assignment]
    count = int(rng.integers(num_objects[0], num_objects[1] + 1))
    objects = tuple(str(o) for o in rng.choice(object_ids(split), size=count, replace=False))
    container = str(rng.choice(container_names(split))) if family == "place" else ""
    if family == "drawer":
        objects = (str(rng.choice(drawer_names(split))), *objects[1:])
    return Task(family, family, objects, container)


class Collector:
    """Makes scripted episodes one by one; nothing is carried from one to the next."""

    def __init__(
        self,
        environment: EnvironmentParams,
        families: Mapping[str, float],
        num_objects: Sequence[int],
        action_noise: float,
        seed: int,
        split: Split = "train",
    ) -> None:
        """Build the world.

        Args:
            environment: section `environment`.
            families: weight of each task family.
            num_objects: least and greatest number of objects in a scene.
            action_noise: standard deviation of the noise on each action dimension.
            seed: seed of the run.
            split: objects, containers and drawers of the scenes.
        """
        self._seed = seed
        self._action_noise = action_noise
        self._env = TabletopEnv(
            environment, lambda rng: draw_random_task(rng, families, num_objects, split)
        )

    def collect(self, index: int) -> Episode:
        """Simulate episode `index`.

        Raises:
            UserError: the scene could not be laid out.
        """
        rng = script_generator(self._seed, index)
        return collect_episode(self._env, self._scripted_policy, self._seed, index, rng)

    def close(self) -> None:
        """Release the physics client."""
        self._env.close()

    def _scripted_policy(self, env: TabletopEnv, rng: np.random.Generator) -> SelectAction:
        policy = make_scripted_policy(env, rng)

        def select_action(_observation: Observation) -> NDArray[np.float32]:
            return noisy_action(policy.action(), self._action_noise, rng)

        return select_action


def script_generator(seed: int, episode_index: int) -> np.random.Generator:
    """A script's source of chance, its style and its noise: apart from the scene's."""
    return generator(seed, "script", episode_index)


def make_scripted_policy(
    env: TabletopEnv, rng: np.random.Generator
) -> GraspPolicy | PlacePolicy | DrawerPolicy:
    """The script for the environment's present task, its variation drawn from `rng`."""
    task, container_position = env.task, env.layout.container_position
    if task.family == "drawer":
        return DrawerPolicy(env.scene, task.target, draw_drawer_style(env.scene, task.target, rng))
    if container_position is None:
        style = draw_grasp_style(env.scene, task.target, VARIETY, rng)
        return GraspPolicy(env.scene, task.target, style)
    place = draw_place_style(env.scene, task.target, rng)
    return PlacePolicy(env.scene, task.target, task.container, container_position, place)
