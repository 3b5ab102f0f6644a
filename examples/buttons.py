"""An environment of one's own, which own_environment.py uses: a hand over three buttons.

The script presses any of the three, and so will a prior; the task is to press the first.
"""

import gymnasium
import numpy as np
from gymnasium import spaces

from parrot_data.worlds.gymnasium_world import spec_of


class Buttons(gymnasium.Env):
    """A hand over buttons; pressing one ends the episode."""

    observation_space = spaces.Dict({"buttons": spaces.Box(-9, 9, (6,))})  # as seen from the hand
    action_space = spaces.Box(-1, 1, (2,))

    def __init__(self, num_wanted):
        self.num_wanted = num_wanted  # of the buttons, the first so many

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.off = self.np_random.uniform(-1, 1, (3, 2))
        return {"buttons": np.float32(self.off.ravel())}, {}

    def step(self, action):
        self.off = self.off - 0.06 * np.clip(action, -1, 1)
        pressed = np.linalg.norm(self.off, axis=1) < 0.1
        success, is_over = bool(pressed[: self.num_wanted].any()), bool(pressed.any())
        seen = {"buttons": np.float32(self.off.ravel())}
        return seen, float(success), is_over, False, {"is_success": success}


class World:
    """What can be simulated: see parrot_data/worlds/world.py. It demonstrates by itself."""

    tasks, families, max_steps, spec = ("first", "any"), (), 50, spec_of(Buttons(3), "any")

    def make_env(self, task, render_mode=None):
        return gymnasium.wrappers.TimeLimit(Buttons(1 if task == "first" else 3), self.max_steps)

    unseen = make_env  # of a family: there is none

    def demonstrator(self):
        return self

    def begin(self, env, rng):
        button = rng.integers(3)

        def select_action(seen):
            nonlocal button
            button = rng.integers(3) if rng.random() < 0.2 else button  # it changes its mind
            off = seen["buttons"].reshape(3, 2)[button]
            return np.float32(0.7 * off / np.linalg.norm(off) + rng.normal(0, 0.3, 2)).clip(-1, 1)

        return select_action
