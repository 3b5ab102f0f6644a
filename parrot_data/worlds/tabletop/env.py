"""The gymnasium environment: a tabletop scene, an arm, and one task an episode."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from parrot_data.streams import generator
from parrot_data.worlds.tabletop.arm import FINGER_CLOSED, FINGER_OPEN
from parrot_data.worlds.tabletop.layout import Layout, draw_layout
from parrot_data.worlds.tabletop.motion import moved_pose
from parrot_data.worlds.tabletop.objects import ObjectSpec, library
from parrot_data.worlds.tabletop.params import MAX_OBJECTS, EnvironmentParams
from parrot_data.worlds.tabletop.scene import SUBSTEPS, TIMESTEP_S, Scene
from parrot_data.worlds.tabletop.success import is_lifted, is_placed, is_successful
from parrot_data.worlds.tabletop.tasks import Task, named_task

ACTION_NAMES = ("x", "y", "z", "turn about x", "turn about y", "turn about z", "gripper")
ACTION_DIM = len(ACTION_NAMES)
PROPRIOCEPTION_DIM = 8
GRIPPER_THRESHOLD = 0.5
SEEDS = 2**63  # what an environment without a seed draws its own from

Observation = dict[str, NDArray[Any]]
# Draws an episode's task from the episode's own generator.
DrawTask = Callable[[np.random.Generator], Task]


def episode_generator(seed: int, episode_index: int) -> np.random.Generator:
    """The one source of chance of a scene: a function of seed and index alone."""
    return generator(seed, "scene", episode_index)


class TabletopEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """Pick, place and open drawers, with distractors and a sparse reward.

    Observation: Dict of `image`, uint8 (S, S, 3) RGB, and, where params ask for it,
    `proprioception`, float32 (8,): gripper position (m), quaternion (x, y, z, w), opening (m).
    Action: float32 (7,) in [-1, 1]: translation of the gripper, its rotation vector, and a command
    that opens it above 0.5, closes it below -0.5 and otherwise leaves it.
    Reward: 1.0 on every step on which the task's predicate holds, else 0.0. An episode is never
    terminated; it is truncated after `episode_steps`.

    Episode i after `reset(seed=s)` is a pure function of (params, s, i). Each reset moves on to the
    next index; `reset(options={"episode_index": i})` goes to any. An environment that was never
    given a seed draws one from gymnasium's `np_random`, which starts from the operating system's
    entropy: no two of them show the same episodes.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as gymnasium declares it
        "render_modes": ["rgb_array"],
        "render_fps": round(1 / (SUBSTEPS * TIMESTEP_S)),
    }

    def __init__(
        self,
        params: EnvironmentParams,
        draw_task: DrawTask,
        render_mode: str | None = None,
        render_size: int = 256,
        specs: Mapping[str, ObjectSpec] | None = None,
    ) -> None:
        """Build the world once; every reset restores it.

        Args:
            params: section `environment`.
            draw_task: draws each episode's task.
            render_mode: "rgb_array" or None.
            render_size: side of the pictures `render` gives, in pixels.
            specs: objects that tasks may name, by id; the committed library where left out.
        """
        self.params = params
        self.render_mode = render_mode
        self.render_size = render_size
        self._draw_task = draw_task
        self.scene = Scene(library() if specs is None else specs)
        self._seed: int | None = None
        self._next_index = 0
        self._num_steps = 0
        size = params.image_size
        box: dict[str, spaces.Space[Any]] = {"image": spaces.Box(0, 255, (size, size, 3), np.uint8)}
        if params.proprioception:
            box["proprioception"] = spaces.Box(-2.0, 2.0, (PROPRIOCEPTION_DIM,), np.float32)
        self.observation_space = spaces.Dict(box)  # type: ignore[assignment]
        self.action_space = spaces.Box(-1.0, 1.0, (ACTION_DIM,), np.float32)
        self.task: Task
        self.layout: Layout

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: starts the count of episodes anew under this seed.
            options: {"episode_index": i} starts episode i of the current seed.

        Raises:
            UserError: the task's objects do not fit on the table.
            ValueError: the episode's index is negative.
        """
        super().reset(seed=seed)
        following = self._next_index if seed is None else 0
        index = operator.index((options or {}).get("episode_index", following))
        if index < 0:
            raise ValueError(f"episode_index must be at least 0, not {index}")
        if seed is not None:
            self._seed = seed
        elif self._seed is None:
            self._seed = int(self.np_random.integers(SEEDS))
        self._next_index = index + 1
        rng = episode_generator(self._seed, index)
        self.task = self._draw_task(rng)
        self.layout = draw_layout(self.task, rng)
        self.scene.reset(self.task, self.layout)
        self._num_steps = 0
        self._finger = FINGER_OPEN
        return self._observe(), self._info(grasped="")

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move the gripper by one action; actions beyond [-1, 1] are clipped.

        Raises:
            ValueError: the action has another shape than (7,), or a number in it is not finite.
        """
        clipped = [min(max(a, -1.0), 1.0) for a in _checked(action)]
        if abs(clipped[6]) > GRIPPER_THRESHOLD:
            self._finger = FINGER_OPEN if clipped[6] > 0 else FINGER_CLOSED
        position, quaternion = self.scene.tool_pose()
        target, rotation = moved_pose(position, quaternion, clipped)
        self.scene.arm.command(target, rotation, self._finger)
        self.scene.step()
        self._num_steps += 1
        info = self._info(grasped=self._grasped())
        truncated = self._num_steps >= self.params.episode_steps
        return self._observe(), float(info["is_success"]), False, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """Picture of the scene, uint8 (render_size, render_size, 3); None without a render mode."""
        return self.scene.render(self.render_size) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Release the physics client."""
        self.scene.close()

    def proprioception(self) -> NDArray[np.float32]:
        """Gripper position (m), quaternion with w >= 0, opening (m): float32 (8,)."""
        return np.array(self.scene.gripper(), dtype=np.float32)

    def object_positions(self) -> NDArray[np.float32]:
        """Privileged positions of the objects, float32 (3, 3) in m; NaN beyond the scene's own.

        Of a drawer, that of its knob.
        """
        nothing = [(math.nan,) * 3] * (MAX_OBJECTS - len(self.task.objects))
        positions = [self.scene.object_position(name) for name in self.task.objects]
        return np.array(positions + nothing, dtype=np.float32)

    def _observe(self) -> Observation:
        observation: Observation = {"image": self.scene.render(self.params.image_size)}
        if self.params.proprioception:
            observation["proprioception"] = self.proprioception()
        return observation

    def _grasped(self) -> str:
        return next((n for n in self.task.objects if self.scene.is_grasped(n)), "")

    def _info(self, grasped: str) -> dict[str, Any]:
        task, scene = self.task, self.scene
        lifted = [n for n in task.loose_objects if is_lifted(scene, n)]
        placed = [n for n in task.loose_objects if is_placed(scene, n, task, self.layout)]
        return {
            "is_success": is_successful(scene, task, lifted, placed),
            "task": task.name,
            "grasped": grasped,
            "lifted": next(iter(lifted), ""),
            "placed": next(iter(placed), ""),
            "touched": next((n for n in task.objects if scene.touching_links(n)), ""),
        }


def _checked(action: NDArray[np.float32]) -> list[float]:
    """The numbers of an action; a NaN would be clipped to a bound, and pass for a wish."""
    wanted = np.asarray(action, dtype=np.float64)
    if wanted.shape != (ACTION_DIM,):
        raise ValueError(f"an action has shape ({ACTION_DIM},), not {wanted.shape}")
    numbers: list[float] = wanted.tolist()
    for place, number in enumerate(numbers):
        if not math.isfinite(number):
            raise ValueError(f"action[{place}] ({ACTION_NAMES[place]}) is {number}, not finite")
    return numbers


def make_task_env(
    name: str, params: EnvironmentParams, render_mode: str | None = "rgb_array"
) -> TabletopEnv:
    """The environment of a named task.

    Raises:
        UserError: no task has this name.
    """
    task = named_task(name)
    return TabletopEnv(params, lambda _rng: task, render_mode)
