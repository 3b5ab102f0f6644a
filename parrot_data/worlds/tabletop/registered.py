"""What `gymnasium.make` builds under the registered ids."""

from __future__ import annotations

from parrot_data.worlds.tabletop.params import DemonstrationParams, TabletopParams
from parrot_data.worlds.tabletop.tasks import Family
from parrot_data.worlds.tabletop.world import TabletopWorld
from parrot_data.worlds.world import Env


def make_registered_env(
    task: str | None = None,
    family: Family | None = None,
    image_size: int = 48,
    proprioception: bool = True,
    episode_steps: int = 25,
    render_mode: str | None = None,
) -> Env:
    """Build a fine-tuning task (`parrot/PickCup-v0`) or a family (`parrot/Pick-v0`).

    A task has the same objects in every episode; a family has a random unseen scene at each reset:
    two objects of the test split, and the container or drawer that it needs. What is left out is as
    in params.yaml as shipped, so that a model trained by them fits.

    Args:
        task: name of a task, set by the id.
        family: "pick", "place" or "drawer", set by the id where it sets no task.
        image_size: side of the image, pixels.
        proprioception: whether observations carry the gripper's pose and opening.
        episode_steps: actions an episode.
        render_mode: "rgb_array" or None.

    Raises:
        UserError: no task or family has this name.
    """
    params = TabletopParams(
        name="tabletop",
        image_size=image_size,
        proprioception=proprioception,
        episode_steps=episode_steps,
        # Of no account: nothing is demonstrated here.
        demonstrations=DemonstrationParams(action_noise=0.0, num_objects=[1, 1]),
    )
    world = TabletopWorld(params)
    if task is not None:
        return world.make_env(task, render_mode)
    return world.unseen(family or "pick", render_mode)
