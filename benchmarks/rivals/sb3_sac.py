"""SAC from pixels by stable-baselines3, as its defaults have it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger


class _Images(gymnasium.Env[Any, Any]):
    """Has spaces, which are all that making an agent needs."""

    def __init__(self, image_size: int, action_dim: int) -> None:
        self.observation_space = Box(0, 255, (image_size, image_size, 3), np.uint8)
        self.action_space = Box(-1.0, 1.0, (action_dim,), np.float32)


def sb3_agent(image_size: int, action_dim: int, num_transitions: int, batch_size: int) -> Any:
    """An agent with `CnnPolicy` and a full replay buffer of random images.

    `agent.train(gradient_steps=1, batch_size=...)` is one update, the draw of its batch included.
    """
    agent = SAC(
        "CnnPolicy",
        _Images(image_size, action_dim),
        buffer_size=num_transitions,
        batch_size=batch_size,
        device="cpu",
        seed=0,
    )
    replay: Any = agent.replay_buffer
    agent.set_logger(Logger(folder=None, output_formats=[]))
    rng = np.random.default_rng(0)
    shape = (1, 3, image_size, image_size)
    images = rng.integers(0, 256, (32, *shape), dtype=np.uint8)
    for number in range(num_transitions):
        replay.add(
            images[number % 32],
            images[(number + 1) % 32],
            rng.uniform(-1, 1, (1, action_dim)).astype(np.float32),
            np.zeros(1),
            np.zeros(1),
            [{}],
        )
    return agent
