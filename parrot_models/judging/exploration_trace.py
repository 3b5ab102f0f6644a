"""What an exploring policy did in one episode, read from the simulator itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot_data.streams import generator
from parrot_data.worlds.tabletop.env import Observation, TabletopEnv
from parrot_data.worlds.tabletop.motion import leaves_workspace

SelectAction = Callable[[Observation], NDArray[np.float32]]
# Called once the episode is laid out, with the episode's own source of chance.
MakePolicy = Callable[[TabletopEnv, np.random.Generator], SelectAction]

JOINT_SLACK_RAD = 0.02  # from a limit, where the motors leave the arm that is driven into it


@dataclass(frozen=True, eq=False)
class Trace:
    """An episode of T steps.

    Attributes:
        grippers: float64 (T + 1, 4), position and opening, m.
        objects: float64 (T + 1, N, 3), positions of the N objects, m.
        actions: float64 (T, 7) in [-1, 1], as executed.
        is_touched, is_lifted, is_placed: whether any object was, at some step.
        is_on_table: bool (T,), the arm touched the table after the step.
        is_at_joint_limit: bool (T,), a joint stood at its limit after the step.
        is_held_back: bool (T,), the action asked for a place outside of the workspace.
    """

    grippers: NDArray[np.float64]
    objects: NDArray[np.float64]
    actions: NDArray[np.float64]
    is_touched: bool
    is_lifted: bool
    is_placed: bool
    is_on_table: NDArray[np.bool_]
    is_at_joint_limit: NDArray[np.bool_]
    is_held_back: NDArray[np.bool_]


def trace_episode(env: TabletopEnv, make_policy: MakePolicy, seed: int, index: int) -> Trace:
    """Live episode `index` of a seed: the same scene for every policy."""
    observation, _ = env.reset(seed=seed, options={"episode_index": index})
    select_action = make_policy(env, generator(seed, "explore: policy", index))
    grippers, objects, actions = [_gripper(env)], [_objects(env)], []
    infos, safety = [], []
    is_truncated = False
    while not is_truncated:
        action = np.asarray(select_action(observation), np.float64).clip(-1.0, 1.0)
        is_held_back = leaves_workspace(env.scene.tool_pose()[0], action.tolist())
        observation, _, _, is_truncated, info = env.step(action.astype(np.float32))
        actions.append(action)
        infos.append(info)
        grippers.append(_gripper(env))
        objects.append(_objects(env))
        at_limit = env.scene.arm.is_at_joint_limit(JOINT_SLACK_RAD)
        safety.append((env.scene.is_arm_on_table(), at_limit, is_held_back))
    on_table, at_limits, held_back = np.array(safety, dtype=np.bool_).T
    return Trace(
        grippers=np.stack(grippers),
        objects=np.stack(objects),
        actions=np.stack(actions),
        is_touched=any(info["touched"] for info in infos),
        is_lifted=any(info["lifted"] for info in infos),
        is_placed=any(info["placed"] for info in infos),
        is_on_table=on_table,
        is_at_joint_limit=at_limits,
        is_held_back=held_back,
    )


def _gripper(env: TabletopEnv) -> NDArray[np.float64]:
    position, _ = env.scene.tool_pose()
    return np.array([*position, env.scene.arm.opening()])


def _objects(env: TabletopEnv) -> NDArray[np.float64]:
    return np.array([env.scene.object_position(name) for name in env.task.objects])
