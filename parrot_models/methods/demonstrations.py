"""Demonstrations of the very task that an agent learns, as transitions of its own.

After RLPD (Ball et al., 2023, section 4.1), whose agents act in the robot's own actions: half of
each batch is drawn from them. For an agent over z each action becomes the z of which it is f(z; s),
as only a prior that is invertible can do it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec, difference
from parrot_data.errors import UserError
from parrot_data.stores.manifest import MANIFEST, load_manifest
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.zarr_store import zarr_of
from parrot_models.methods.names import REACH_OF_METHOD
from parrot_models.rl.params import AgentParams
from parrot_models.rl.replay import ReplayBuffer, one_row, row_of
from parrot_models.rl.views import DirectView


def check_can_be_shown(method: str, agent: AgentParams) -> None:
    """See that an agent of a method can say whatever demonstrations do.

    Raises:
        UserError: it cannot.
    """
    able = [name for name, reach in REACH_OF_METHOD.items() if reach in ("actions", "latents")]
    if method not in able:
        raise UserError(
            f"agents of {method} cannot say whatever demonstrations do: choose one of "
            f"{', '.join(able)}, or leave --demonstrations away"
        )
    if method == "parrot_demo":
        raise UserError(
            "parrot_demo keeps its own first episodes in the place of demonstrations: choose parrot"
        )
    if method == "parrot_privileged":
        raise UserError(
            "critics of parrot_privileged are told what no demonstration has to hold: choose parrot"
        )
    if agent.hold_steps > 1:
        raise UserError(
            f"finetune.agent.hold_steps is {agent.hold_steps}, and demonstrations decide in every "
            "step: set it to 1, or leave --demonstrations away"
        )


def read_demonstrations(folder: Path, task: str, spec: EpisodeSpec) -> list[Episode]:
    """Episodes of a task from a folder that `shard` wrote.

    Raises:
        UserError: it is damaged, of another spec than the world's, or has none of the task.
    """
    manifest = load_manifest(folder, "shards")
    if differs := difference(manifest.spec, spec):
        raise UserError(
            f"{folder} holds demonstrations in another environment than params choose ({differs}): "
            "name others, or set the environment back"
        )
    entries = list(manifest.entries(folder))
    store = zarr_of(folder, manifest)
    found = [store[place] for place, entry in enumerate(entries) if entry.task == task]
    if not found:
        others = ", ".join(sorted({entry.task for entry in entries}))
        raise UserError(
            f"{folder} has no demonstrations of {task}, only of {others}: name a folder that has"
        )
    return found


def manifest_sha256(folder: Path) -> str:
    """Hash of the manifest of a folder that `read_demonstrations` has read."""
    return sha256_file(folder / MANIFEST)


def num_slots(episodes: Sequence[Episode]) -> int:
    """Slots of a `ReplayBuffer` that these take."""
    return sum(episode.num_steps + 1 for episode in episodes)


def remember(
    episodes: Sequence[Episode], view: DirectView, memory: ReplayBuffer, *, stores_executed: bool
) -> None:
    """Put demonstrations into a memory, as an agent would have met them behind its view.

    Args:
        episodes: of its task.
        view: its own; begins anew with each of them.
        memory: empty, and large enough.
        stores_executed: whether it holds what the robot executed, not what the agent says.

    Raises:
        UserError: an action has no finite z.
    """
    for episode in episodes:
        seen = view.begin(_step_of(episode, 0))
        memory.begin(row_of(seen, 0))
        for step in range(episode.num_steps):
            executed = episode.actions[step : step + 1]
            said = executed if stores_executed else view.said_for(executed)
            if not np.isfinite(said).all():
                raise UserError(
                    f"the action of step {step} of the demonstration {episode.index} has no finite "
                    "z under the prior: leave the episode out (filter), or train the prior on "
                    "actions like these"
                )
            seen = view.see(_step_of(episode, step + 1))
            memory.append(
                said[0],
                float(episode.rewards[step]),
                row_of(seen, 0),
                terminated=episode.terminated and step + 1 == episode.num_steps,
                is_due=True,
            )


def _step_of(episode: Episode, step: int) -> dict[str, NDArray[Any]]:
    return one_row({name: values[step] for name, values in episode.observations.items()})
