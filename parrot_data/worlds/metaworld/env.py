"""A task of Meta-World as an environment whose reset with a seed determines the episode."""

from __future__ import annotations

from typing import Any

import parrot_data.worlds.metaworld.headless  # noqa: F401  # isort: skip
import gymnasium
import numpy as np
from gymnasium import spaces
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from numpy.typing import NDArray

from parrot_data.worlds.metaworld.camera import Camera
from parrot_data.worlds.metaworld.params import MetaworldParams

STATE, IMAGE = "state", "image"
STATE_DIM, ACTION_DIM = 39, 4
VERSION = "-v3"  # of every task of the package
SIMULATED_RATE_HZ = 80.0
FILM_SIZE = 240  # pixels of a side of what `render` gives


class MetaworldEnv(gymnasium.Env[dict[str, NDArray[Any]], NDArray[np.float32]]):
    """One of Meta-World's 50 tasks (Yu et al. 2020, arXiv:1910.10897).

    Observed is `state`, float32 (39,): the hand's position in m and opening, positions and
    rotations of up to two objects, all of these a simulated step before, and the goal, as in the
    package's own multi-task setting; with `image`, uint8 (H, W, 3), if asked for. The action is
    float32 (4,) in [-1, 1]: how the hand moves, and how hard it closes; each is held for several
    simulated steps. The reward is 1 on success, which ends the episode, and else 0.

    Args:
        params: section `environment`.
        task: one of `TASKS`.
        render_mode: "rgb_array" to film it, or None.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 - gymnasium's form

    def __init__(self, params: MetaworldParams, task: str, render_mode: str | None = None) -> None:
        self.task, self.render_mode = task, render_mode
        self._params = params
        self._simulated = ALL_V3_ENVIRONMENTS[task + VERSION]()
        # The package draws scenes from a fixed list, or by numpy's global chance, and hides the
        # goal; what its own goal-observable variants set, and that its chance follows the seed.
        self._simulated._set_task_called = True
        self._simulated._freeze_rand_vec = False
        self._simulated.seeded_rand_vec = True
        self._simulated._partially_observable = False
        del self._simulated.sawyer_observation_space  # cached, of a hidden goal
        shown: dict[str, spaces.Space[Any]] = {
            STATE: spaces.Box(-np.inf, np.inf, (STATE_DIM,), np.float32)
        }
        if (side := params.image_size) is not None:
            shown[IMAGE] = spaces.Box(0, 255, (side, side, 3), np.uint8)
        self.observation_space: spaces.Space[Any] = spaces.Dict(shown)
        self.action_space = spaces.Box(-1.0, 1.0, (ACTION_DIM,), np.float32)
        self._cameras: dict[int, Camera] = {}  # by size

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Lay out the scene of a seed, or the next one of this environment's own chance."""
        super().reset(seed=seed, options=options)
        self._simulated.seed(int(self.np_random.integers(2**31)) if seed is None else seed)
        state, _ = self._simulated.reset()
        self._num_steps = 0
        return self._shown(state), {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """Hold an action until its time is over or the task is achieved."""
        held = np.clip(np.asarray(action, np.float32), -1.0, 1.0)
        for _ in range(self._params.action_repeat):
            state, _, _, _, told = self._simulated.step(held)
            is_success = bool(told["success"])
            if is_success:
                break
        self._num_steps += 1
        is_over = self._num_steps >= self._params.episode_steps
        info = {"is_success": is_success, "failure": "" if is_success else "out of time"}
        return self._shown(state), float(is_success), is_success, is_over and not is_success, info

    def render(self) -> NDArray[np.uint8]:
        """The scene as the images show it, larger: uint8 (H, W, 3)."""
        return self._seen(FILM_SIZE)

    def close(self) -> None:
        """Release what renders."""
        for camera in self._cameras.values():
            camera.close()
        self._cameras = {}
        self._simulated.close()  # type: ignore[no-untyped-call]

    @property
    def state(self) -> NDArray[np.float64]:
        """What the package's scripts look at: `state`, before it is float32."""
        return self._state

    def _shown(self, state: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        self._state = state
        shown: dict[str, NDArray[Any]] = {STATE: state.astype(np.float32)}
        size = self._params.image_size
        return shown if size is None else {**shown, IMAGE: self._seen(size)}

    def _seen(self, size: int) -> NDArray[np.uint8]:
        if size not in self._cameras:
            self._cameras[size] = Camera(self._simulated.model, size)
        return self._cameras[size].image(self._simulated.data)
