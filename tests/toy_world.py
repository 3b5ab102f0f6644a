"""A robot that the packages have never heard of: a point that has to reach a goal.

It serves as a world of a user's own (`tests.toy_world:make_world`) and, registered with gymnasium,
as somebody else's environment (`tests.toy_world:toy/Reach-v0`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from parrot_data.episodes.rollout import SelectAction
from parrot_data.episodes.spec import ActionSpec, EpisodeSpec, ImageSpec, VectorSpec
from parrot_data.worlds.gymnasium_world import box_of
from parrot_data.worlds.world import known

REACHED = 0.15  # largest distance in any dimension
SPEED = 0.25  # a step, of a normalised action of 1
TASKS = ("reach-near", "reach-far")
FAMILIES = ("near", "far")


class ReachEnv(gymnasium.Env):
    """A point in [-1, 1]^A moves by its action to a goal; reaching it ends the episode.

    Observations: vectors `position` and `goal`, or images of both, as asked for. Without bounds
    dimension i is driven in units of its own: offset i, scale 10 (i + 1).
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        action_dim: int = 2,
        images: Mapping[str, Sequence[int]] | None = None,
        has_vectors: bool = True,
        is_bounded: bool = True,
        is_far: bool = False,
        ends: bool = True,
        speed: float = SPEED,
        render_mode: str | None = None,
    ) -> None:
        self.spec_of_episodes = make_spec(action_dim, images or {}, has_vectors, is_bounded)
        self.render_mode = render_mode
        self._dim, self._is_far, self._ends, self._speed = action_dim, is_far, ends, speed
        described = self.spec_of_episodes.observations
        self.observation_space = spaces.Dict({name: box_of(s) for name, s in described.items()})
        self._offset = np.zeros(action_dim) if is_bounded else np.arange(action_dim) * 1.0
        self._scale = np.ones(action_dim) if is_bounded else 10.0 * (1 + np.arange(action_dim))
        low = -1.0 if is_bounded else -np.inf
        self.action_space = spaces.Box(low, -low, (action_dim,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        reach = 0.9 if self._is_far else 0.5
        self.position = self.np_random.uniform(-0.1, 0.1, self._dim)
        sides = self.np_random.choice([-1.0, 1.0], self._dim)
        self.goal = sides * self.np_random.uniform(0.6 * reach, reach, self._dim)
        return self._observe(), {**self._told(), "facts": {"is_far": self._is_far}}

    def step(self, action):
        assert np.isfinite(action).all()
        normalised = (np.asarray(action, np.float64) - self._offset) / self._scale
        self.position = np.clip(self.position + self._speed * normalised.clip(-1, 1), -1, 1)
        told = self._told()
        is_over = told["is_success"] and self._ends
        return self._observe(), float(told["is_success"]), is_over, False, told

    def render(self):
        return self._image(64, 64)

    def action_towards_goal(self, rng: np.random.Generator) -> np.ndarray:
        wanted = (self.goal - self.position).clip(-self._speed, self._speed) / self._speed
        noisy = (0.7 * wanted + rng.normal(0.0, 0.1, self._dim)).clip(-0.95, 0.95)
        return (noisy * self._scale + self._offset).astype(np.float32)

    def _told(self) -> dict[str, Any]:
        distance = float(np.abs(self.goal - self.position).max())
        return {
            "is_success": distance < REACHED,
            "failure": "never_near",
            "privileged": {"goal_position": self.goal.astype(np.float32)},
            "outcomes": {"near": distance < 2 * REACHED},
        }

    def _observe(self):
        seen = {}
        for name, each in self.spec_of_episodes.observations.items():
            if isinstance(each, ImageSpec):
                seen[name] = self._image(each.height, each.width)
            else:
                seen[name] = getattr(self, name).astype(np.float32)
        return seen

    def _image(self, height: int, width: int) -> np.ndarray:
        image = np.full((height, width, 3), 40, np.uint8)
        for place, color in ((self.position, (220, 60, 60)), (self.goal, (60, 220, 60))):
            x, y = place[0], place[1 % self._dim]
            row, column = int((y + 1) / 2 * (height - 4)), int((x + 1) / 2 * (width - 4))
            image[row : row + 4, column : column + 4] = color
        return image


def make_spec(
    action_dim: int, images: Mapping[str, Sequence[int]], has_vectors: bool, is_bounded: bool
) -> EpisodeSpec:
    vectors = {name: VectorSpec(dim=action_dim) for name in ("position", "goal") if has_vectors}
    seen = {name: ImageSpec(height=h, width=w) for name, (h, w) in images.items()}
    return EpisodeSpec(
        observations={**seen, **vectors},
        action=ActionSpec(
            dim=action_dim,
            low=[-1.0] * action_dim if is_bounded else None,
            high=[1.0] * action_dim if is_bounded else None,
        ),
        control_rate_hz=10.0,
        cameras={},
        tool=None,
        mirror=None,
        privileged={"goal_position": {"dtype": "float32", "shape": [action_dim]}},
    )


class ToyWorld:
    """What a user would write: spec, tasks, environments, scripts.

    Episodes of the tasks in `lasting` go on to their limit of steps.
    """

    tasks, families = TASKS, FAMILIES

    def __init__(self, max_steps: int = 30, lasting: Sequence[str] = (), **kwargs: Any) -> None:
        self.max_steps, self._lasting, self._kwargs = max_steps, lasting, kwargs
        self.spec = ReachEnv(**kwargs).spec_of_episodes

    def make_env(self, task: str, render_mode: str | None = None) -> gymnasium.Env:
        is_far = known(task, TASKS, "task") == "reach-far"
        return self._make(is_far, render_mode, task not in self._lasting)

    def unseen(self, family: str) -> gymnasium.Env:
        return self._make(known(family, FAMILIES, "family") == "far", None)

    def demonstrator(self) -> ToyDemonstrator:
        return ToyDemonstrator(self)

    def _make(self, is_far: bool, render_mode: str | None, ends: bool = True) -> gymnasium.Env:
        env = ReachEnv(**{"ends": ends, **self._kwargs}, is_far=is_far, render_mode=render_mode)
        return gymnasium.wrappers.TimeLimit(env, self.max_steps)


class ToyDemonstrator:
    """Goes to the goal in a noisy line."""

    tasks = TASKS

    def __init__(self, world: ToyWorld) -> None:
        self.make_env = world.make_env

    def begin(self, env: gymnasium.Env, rng: np.random.Generator) -> SelectAction:
        robot = env.unwrapped
        return lambda _observation: robot.action_towards_goal(rng)


class WrongWorld(ToyWorld):
    """It breaks its own promises, each `wrong` in its way."""

    def __init__(self, wrong: str) -> None:
        super().__init__()
        self.wrong = wrong

    def demonstrator(self) -> ToyDemonstrator:
        if self.wrong == "demonstrator":
            return object()  # type: ignore[return-value]
        script = ToyDemonstrator(self)
        bad = {"action": np.full(2, np.nan), "wide action": np.zeros(3)}.get(self.wrong)
        if bad is not None:
            script.begin = lambda _env, _rng: lambda _observation: bad  # type: ignore[method-assign]
        return script

    def _make(self, is_far: bool, render_mode: str | None) -> gymnasium.Env:
        env = super()._make(is_far, render_mode)
        if self.wrong == "endless":
            env = ReachEnv(ends=False)
        return _Wrong(env, self.wrong)


class _Wrong(gymnasium.Wrapper):
    def __init__(self, env: gymnasium.Env, wrong: str) -> None:
        super().__init__(env)
        self.wrong = wrong

    def reset(self, *, seed=None, options=None):
        return self._bad(*self.env.reset(seed=seed, options=options), is_first=True)

    def step(self, action):
        observation, *told, info = self.env.step(np.nan_to_num(np.resize(action, 2)))
        seen, info = self._bad(observation, info, is_first=False)
        return seen, *told, info

    def _bad(self, seen: dict, info: dict, *, is_first: bool):
        if self.wrong == "names":
            seen["place"] = seen.pop("position")
        if self.wrong == "dtype" or (self.wrong == "later dtype" and not is_first):
            seen["goal"] = seen["goal"].astype(np.float64)
        if self.wrong == "nan":
            seen["goal"][0] = np.nan
        if self.wrong == "privileged":
            del info["privileged"]
        if self.wrong == "facts" and is_first:
            info["facts"] = {"goal": self.unwrapped.goal}
        if self.wrong == "success":
            del info["is_success"]
        return seen, info


def make_world(**kwargs: Any) -> ToyWorld:
    """The factory that params name."""
    return ToyWorld(**kwargs)


gymnasium.register("toy/Reach-v0", entry_point="tests.toy_world:ReachEnv", max_episode_steps=30)
