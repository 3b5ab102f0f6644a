"""The environment against the simulator it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bullet_calls import bare_loop, check_loop, recorded
from benchmarks.row import Figures, Row, at_least, at_least_itself
from benchmarks.setting import Setting, Values
from parrot_data.episodes.rollout import episode_seed, roll_out
from parrot_data.streams import generator
from parrot_data.worlds.tabletop.env import TabletopEnv
from parrot_data.worlds.tabletop.layout import Layout
from parrot_data.worlds.tabletop.objects import library
from parrot_data.worlds.tabletop.random_task import draw_random_task
from parrot_data.worlds.tabletop.scene import SUBSTEPS, Scene
from parrot_data.worlds.tabletop.tasks import FAMILIES, Task
from parrot_data.worlds.tabletop.world import TabletopWorld

SEED = 0
THREE = (3, 3)  # least and greatest number of objects in a scene
PROTOTYPE_STEPS_S = 623.0  # of a prototype in plain code, on the machine the targets were set on

Actions = Sequence[Sequence[NDArray[np.float32]]]  # by episode and step, (7,)


def steps_against_bare_calls(setting: Setting) -> Figures:
    """Env steps/s, and the pace at which the simulator alone could have done the same."""
    actions = scripted_actions(setting)
    num_steps = sum(len(episode) for episode in actions)
    with closing(three_object_env(setting.values)) as env:
        replay(env, actions)  # a first time, for the shapes that the client keeps
        with recorded() as calls:
            replay(env, actions)
        check_loop(calls, num_steps * SUBSTEPS, num_steps + len(actions))
        ours, bare = setting.cpu_seconds(lambda: replay(env, actions), bare_loop(calls))
    note = (
        f"{len(actions)} scripted episodes of three objects, their actions replayed without the "
        f"script, resets and images included; {1e6 * ours / num_steps:.0f} us a step, of which "
        f"the simulator takes {1e6 * bare / num_steps:.0f}. The bare loop makes the very calls "
        "that moved, made or drew something, none that only read."
    )
    return Figures(num_steps / ours, num_steps / bare, note)


def steps_a_second(setting: Setting) -> Figures:
    """Env steps/s as they are."""
    actions = scripted_actions(setting)
    num_steps = sum(len(episode) for episode in actions)
    with closing(three_object_env(setting.values)) as env:
        (seconds,) = setting.cpu_seconds(lambda: replay(env, actions))
    note = "An absolute figure: it counts on an idle machine of the kind the target was set on."
    return Figures(num_steps / seconds, PROTOTYPE_STEPS_S, note)


def reset_against_rebuilding(setting: Setting) -> Figures:
    """Resets/s of one scene, and of scenes that are built for it."""
    starts = some_starts(setting)
    ours_next, rebuilt_next = cycle(starts), cycle(starts)
    scene = Scene(library())

    def rebuild() -> None:
        with closing(Scene(library())) as fresh:
            fresh.reset(*next(rebuilt_next))

    with closing(scene):
        for start in starts:
            scene.reset(*start)
        ours, rebuilt = setting.cpu_seconds(lambda: scene.reset(*next(ours_next)), rebuild)
    note = f"{1e3 * ours:.2f} ms a reset of three objects, {1e3 * rebuilt:.1f} ms a new scene."
    return Figures(1 / ours, 1 / rebuilt, note)


def three_object_env(values: Values) -> TabletopEnv:
    """The environment of random training scenes of three objects."""
    weights = {name: values.generate.tasks.get(name, 0.0) for name in FAMILIES}
    shares = np.array(list(weights.values())) / sum(weights.values())

    def draw_task(rng: np.random.Generator) -> Task:
        family = FAMILIES[int(rng.choice(len(FAMILIES), p=shares))]
        return draw_random_task(rng, family, THREE, "train")

    return TabletopEnv(values.tabletop, draw_task)


def scripted_actions(setting: Setting) -> Actions:
    """What the scripts did in those scenes, episode by episode."""
    demonstrator = TabletopWorld(setting.values.tabletop).demonstrator()
    actions = []
    with closing(three_object_env(setting.values)) as env:
        for index in range(setting.scale.replayed_episodes):
            script = partial(demonstrator.begin, rng=generator(SEED, "bench: script", index))
            actions.append(roll_out(env, script, episode_seed(SEED, index)).actions)
    return actions


def replay(env: TabletopEnv, actions: Actions) -> dict[str, Any]:
    """Execute the actions again, each episode's in its own scene; the last observation."""
    for index, episode in enumerate(actions):
        env.reset(seed=episode_seed(SEED, index))
        for action in episode:
            observation, *_ = env.step(action)
    return observation


def some_starts(setting: Setting) -> list[tuple[Task, Layout]]:
    """How episodes of those scenes begin."""
    starts = []
    with closing(three_object_env(setting.values)) as env:
        for index in range(setting.scale.replayed_episodes):
            env.reset(seed=episode_seed(SEED, index))
            starts.append((env.task, env.layout))
    return starts


ROWS = (
    Row(
        "env steps, three objects, resets and image",
        "bare physics and render calls of the same scene",
        "steps/s/core",
        (at_least(0.88),),
        steps_against_bare_calls,
    ),
    Row(
        "the same, absolute",
        "the prototype",
        "steps/s/core",
        (at_least_itself(800.0),),
        steps_a_second,
    ),
    Row(
        "reset",
        "rebuilding the scene",
        "resets/s",
        (at_least(10.0),),
        reset_against_rebuilding,
    ),
)
