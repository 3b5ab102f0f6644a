"""What `gymnasium.make` builds under the registered ids."""

from __future__ import annotations

from parrot_data.worlds.tabletop.env import TabletopEnv
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.tasks import TASKS, Family, named_task


def make_registered_env(
    family: Family,
    task: str | None = None,
    image_size: int = 48,
    proprioception: bool = False,
    episode_steps: int = 25,
    render_mode: str | None = None,
) -> TabletopEnv:
    """Build `parrot/Pick-v0`, `Place-v0`, `Drawer-v0`, or a task under an id of its own.

    Args:
        family: "pick", "place" or "drawer", set by the id.
        task: name of a fine-tuning task of that family; the family's first where left out.
        image_size: side of the image, pixels.
        proprioception: whether observations carry the gripper's pose and opening.
        episode_steps: actions an episode.
        render_mode: "rgb_array" or None.

    Raises:
        UserError: no task has this name.
    """
    name = task or next(name for name, known in TASKS.items() if known.family == family)
    chosen = named_task(name)
    params = EnvironmentParams(
        image_size=image_size, proprioception=proprioception, episode_steps=episode_steps
    )
    return TabletopEnv(params, lambda _rng: chosen, render_mode)
