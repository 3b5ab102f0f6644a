"""What an exploring policy did in one episode, as the world's privileged arrays tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.rollout import Rollout, episode_seed
from parrot_data.episodes.spec import EpisodeSpec, ToolSpec
from parrot_data.errors import UserError
from parrot_data.streams import generator
from parrot_data.worlds.world import Env, World
from parrot_models.judging.policies import Box, Policy
from parrot_models.judging.rollouts import outcomes, rolled_out

OBJECTS = "object_positions"  # privileged, (N, 3) m, NaN or zeros for objects that are not there


@dataclass(frozen=True, eq=False)
class Trace:
    """An episode of T steps.

    Attributes:
        tools: float64 (T + 1, 3), positions of the tool, m.
        objects: float64 (T + 1, N, 3), positions of the N objects, m.
        actions: float64 (T, A), as executed, in [-1, 1] between the bounds of the actions.
        outcomes: whether the episode ended in success, and what else the environment told of it.
        risks: bool (T,) each, by name: what the robot risked in each step; see `trace_episode`.
    """

    tools: NDArray[np.float64]
    objects: NDArray[np.float64]
    actions: NDArray[np.float64]
    outcomes: Mapping[str, bool]
    risks: Mapping[str, NDArray[np.bool_]]


def check_traceable(spec: EpisodeSpec) -> None:
    """Refuse a world that does not tell where tool and objects are.

    Raises:
        UserError: naming what it does not tell.
    """
    objects = spec.privileged.get(OBJECTS)
    lacking = []
    if objects is None or len(objects.shape) != 2 or objects.shape[1] != 3:
        lacking.append(f"a privileged array {OBJECTS} of shape (N, 3)")
    if spec.tool is None:
        lacking.append("the tool's position (tool)")
    if lacking:
        raise UserError(
            "exploration is measured by where tool and objects are, and the spec of the world in "
            f"section environment lacks {' and '.join(lacking)}: let it tell them, or explore "
            "another world"
        )


def trace_episode(world: World, env: Env, policy: Policy, box: Box, seed: int, index: int) -> Trace:
    """Roll a policy out in episode `index` of a seed: the same scene for every policy.

    An environment that can say what its robot risks has a method `risks()`, claims by name about
    the last step.

    Args:
        world: its spec has passed `check_traceable`.
        env: of it.
        policy: what acts.
        box: least and greatest action.
        seed: of scene and policy.
        index: of the episode.
    """
    assert world.spec.tool is not None
    tool = world.spec.tool
    tell_risks = getattr(env.unwrapped, "risks", dict)
    told: list[dict[str, bool]] = []
    rng = generator(seed, "explore: policy", index)
    rollout = rolled_out(
        world, env, lambda env: policy(env, rng), episode_seed(seed, index),
        on_step=lambda _env: told.append(tell_risks()),
    )  # fmt: skip
    risks = told[1:]  # the first is of no step
    low, high = (np.asarray(end, np.float64) for end in box)
    actions = np.stack(rollout.actions).astype(np.float64).clip(low, high)
    positions = np.stack([info["privileged"][OBJECTS] for info in rollout.infos])
    return Trace(
        tools=np.stack([_tool(rollout, tool, step) for step in range(len(rollout.infos))]),
        objects=positions[:, _are_there(positions)].astype(np.float64),
        actions=(2 * actions - high - low) / (high - low),
        outcomes=outcomes(rollout),
        risks={name: np.array([step[name] for step in risks], np.bool_) for name in risks[0]},
    )


def _are_there(positions: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(positions).all((0, 2)) & (positions != 0).any((0, 2)))


def _tool(rollout: Rollout, tool: ToolSpec, step: int) -> NDArray[np.float64]:
    told: Mapping[str, Any] = rollout.observations[step]
    if tool.vector not in told:
        told = rollout.infos[step]["privileged"]
    return np.asarray(told[tool.vector], np.float64)[tool.position]
