"""The gymnasium environment: a tabletop scene, an arm, and one task an episode."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from parrot_data.worlds.tabletop.arm import FINGER_CLOSED, FINGER_OPEN
from parrot_data.worlds.tabletop.layout import Layout, draw_layout
from parrot_data.worlds.tabletop.motion import leaves_workspace, moved_pose
from parrot_data.worlds.tabletop.objects import ObjectSpec, library
from parrot_data.worlds.tabletop.outcome import Outcome
from parrot_data.worlds.tabletop.params import MAX_OBJECTS, TabletopParams
from parrot_data.worlds.tabletop.scene import SUBSTEPS, TIMESTEP_S, Scene
from parrot_data.worlds.tabletop.spectator import Spectator
from parrot_data.worlds.tabletop.success import is_lifted, is_placed, is_successful
from parrot_data.worlds.tabletop.tasks import Task

ACTION_NAMES = ("x", "y", "z", "turn about x", "turn about y", "turn about z", "gripper")
ACTION_DIM = len(ACTION_NAMES)
PROPRIOCEPTION_DIM = 8
CONTROL_RATE_HZ = 1 / (SUBSTEPS * TIMESTEP_S)
GRIPPER_THRESHOLD = 0.5
JOINT_SLACK_RAD = 0.02  # from a limit, where the motors leave the arm that is driven into it

Observation = dict[str, NDArray[Any]]
# Draws an episode's task from the episode's own generator.
DrawTask = Callable[[np.random.Generator], Task]


class TabletopEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """Pick, place and open drawers, with distractors and a sparse reward.

    Observation: Dict of `image`, uint8 (S, S, 3) RGB, and, where params ask for it,
    `proprioception`, float32 (8,): gripper position (m), quaternion (x, y, z, w), opening (m).
    Action: float32 (7,) in [-1, 1]: translation of the gripper, its rotation vector, and a command
    that opens it above 0.5, closes it below -0.5 and otherwise leaves it.
    Reward: 1.0 on every step on which the task's predicate holds, else 0.0. An episode is never
    terminated; it is truncated after `episode_steps`.

    What `reset(seed=s)` starts is a pure function of (params, s) and the actions that follow. A
    reset without a seed goes on with the environment's `np_random`, which, where no seed was ever
    given, starts from the operating system's entropy: no two of them show the same episodes.

    Info, at reset and at every step:

    - `is_success`, and `failure`: why not ("never_touched", ...), "" for a success;
    - `privileged`: `object_positions` (3, 3) and `target_position` (3,), float32 in m, and
      `proprioception` where it is not observed;
    - `outcomes`: `touched` and `wrong_object`, true once an object was touched, or one other than
      the target held; `any_object`, true while any object is picked (of a place task: placed; of a
      drawer's: picked, or the drawer open), be it the target or not;
    - `touched`, `grasped`, `lifted`, `placed`: name of an object that is so now, "" for none.

    At reset also `facts`: `family`, `objects` (the target first), `container` ("" for none).
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as gymnasium declares it
        "render_modes": ["rgb_array"],
        "render_fps": round(CONTROL_RATE_HZ),
    }

    def __init__(
        self,
        params: TabletopParams,
        draw_task: DrawTask,
        render_mode: str | None = None,
        render_size: int = 240,
        specs: Mapping[str, ObjectSpec] | None = None,
    ) -> None:
        """Build the world once; every reset restores it.

        Args:
            params: section `environment`.
            draw_task: draws each episode's task.
            render_mode: "rgb_array" or None.
            render_size: side of the images that `render` gives, in pixels.
            specs: objects that tasks may name, by id; the committed library where left out.
        """
        self.params = params
        self.render_mode = render_mode
        self.render_size = render_size
        self._draw_task = draw_task
        self.scene = Scene(library() if specs is None else specs)
        self._spectator = Spectator(self.scene.client)
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
        """Start an episode; `options` are left alone.

        Raises:
            UserError: the task's objects do not fit on the table.
        """
        super().reset(seed=seed, options=options)
        self.task = self._draw_task(self.np_random)
        self.layout = draw_layout(self.task, self.np_random)
        self.scene.reset(self.task, self.layout)
        self._outcome = Outcome()
        self._num_steps = 0
        self._finger = FINGER_OPEN
        self._is_held_back = False
        facts = {
            "family": self.task.family,
            "objects": list(self.task.objects),
            "container": self.task.container,
        }
        return self._observe(), {**self._info(), "facts": facts}

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
        self._is_held_back = leaves_workspace(position, clipped)
        self.scene.arm.command(target, rotation, self._finger)
        self.scene.step()
        self._num_steps += 1
        info = self._info()
        truncated = self._num_steps >= self.params.episode_steps
        return self._observe(), float(info["is_success"]), False, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """Image for people, uint8 (render_size, render_size, 3); None without a render mode.

        It is no observation: it shows the scene from the side.
        """
        if self.render_mode != "rgb_array":
            return None
        return self._spectator.image(self.render_size)

    def risks(self) -> dict[str, bool]:
        """What the arm risked in the last step.

        It touched the table, a joint stands at its limit, or the action asked for a place outside
        of the workspace.
        """
        return {
            "table_contact": self.scene.is_arm_on_table(),
            "joint_limit": self.scene.arm.is_at_joint_limit(JOINT_SLACK_RAD),
            "workspace_limit": self._is_held_back,
        }

    def close(self) -> None:
        """Release the physics client."""
        self.scene.close()

    def proprioception(self) -> NDArray[np.float32]:
        """Gripper position (m), quaternion with w >= 0, opening (m): float32 (8,)."""
        return np.array(self.scene.gripper(), dtype=np.float32)

    def object_positions(self) -> NDArray[np.float32]:
        """Privileged positions of the objects, float32 (3, 3) in m; of a drawer, that of its knob.

        Rows beyond the scene's objects are zeros, where the arm's base stands and nothing else can.
        """
        nothing = [(0.0, 0.0, 0.0)] * (MAX_OBJECTS - len(self.task.objects))
        positions = [self.scene.object_position(name) for name in self.task.objects]
        return np.array(positions + nothing, dtype=np.float32)

    def _observe(self) -> Observation:
        observation: Observation = {"image": self.scene.render(self.params.image_size)}
        if self.params.proprioception:
            observation["proprioception"] = self.proprioception()
        return observation

    def _info(self) -> dict[str, Any]:
        task, scene = self.task, self.scene
        lifted = [n for n in task.loose_objects if is_lifted(scene, n)]
        placed = [n for n in task.loose_objects if is_placed(scene, n, task, self.layout)]
        is_success = is_successful(scene, task, lifted, placed)
        grasped = next((n for n in task.objects if scene.is_grasped(n)), "")
        touched = next((n for n in task.objects if scene.touching_links(n)), "")
        outcome = self._outcome
        outcome.add(task, is_success=is_success, touched=touched, grasped=grasped, lifted=lifted)
        failure = "" if is_success else outcome.failure(scene, task, self.layout, grasped)
        done = placed if task.family == "place" else lifted
        return {
            "is_success": is_success,
            "failure": failure,
            "task": task.name,
            "grasped": grasped,
            "lifted": next(iter(lifted), ""),
            "placed": next(iter(placed), ""),
            "touched": touched,
            "outcomes": {
                "touched": outcome.is_touched,
                "any_object": is_success or bool(done),
                "wrong_object": outcome.is_wrong_grasped,
            },
            "privileged": self._privileged(),
        }

    def _privileged(self) -> dict[str, NDArray[np.float32]]:
        positions = self.object_positions()
        told = {"object_positions": positions, "target_position": positions[0].copy()}
        if not self.params.proprioception:
            told["proprioception"] = self.proprioception()
        return told


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
