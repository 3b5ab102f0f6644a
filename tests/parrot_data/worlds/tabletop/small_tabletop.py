"""Params of a tabletop."""

from __future__ import annotations

from parrot_data.worlds.tabletop.params import DemonstrationParams, TabletopParams


def tabletop_params(
    image_size: int = 48,
    proprioception: bool = True,
    episode_steps: int = 25,
    action_noise: float = 0.1,
    num_objects: tuple[int, int] = (2, 3),
) -> TabletopParams:
    """As shipped, but for what is named."""
    return TabletopParams(
        name="tabletop",
        image_size=image_size,
        proprioception=proprioception,
        episode_steps=episode_steps,
        demonstrations=DemonstrationParams(
            action_noise=action_noise, num_objects=list(num_objects)
        ),
    )
