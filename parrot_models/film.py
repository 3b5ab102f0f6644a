"""Stage `film`: random actions, the untrained prior and the trained agent, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from parrot_data.episodes.rollout import SelectAction
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.outputs.file import file_to_write
from parrot_data.stores.publish import read_json, replace_synced, sha256_file
from parrot_data.streams import generator
from parrot_models.filming.panels import Panel, side_by_side
from parrot_models.filming.params import FilmParams
from parrot_models.judging.runs import world_of
from parrot_models.methods.runs import AGENT, METRICS, Run, RunConfig, load_run, read_config
from parrot_models.methods.table import named_method
from parrot_models.networks.device import CPU
from parrot_models.rl.evaluation import (
    Env,
    FilmedEpisode,
    check_can_be_filmed,
    film_episode,
    when_due,
)
from parrot_models.rl.gif import gif_bytes, scaled

__all__ = ["FilmParams", "film"]

MARKER = "parrot film"
FEWEST_COLORS = 16


@dataclass
class _Actor:
    """One of the policies.

    Attributes:
        caption: what it is called below.
        env: what it acts in.
        begin: makes its policy for an episode, by index.
        successes: of the episodes that were filmed.
    """

    caption: str
    env: Env
    begin: Callable[[int], SelectAction]
    successes: list[bool] = field(default_factory=list)


def film(
    params: FilmParams,
    run: Path,
    out: Path,
    *,
    prior: Path | None = None,
    device: torch.device = CPU,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Film what a run began from and what it came to, in the same scenes, as one animated GIF.

    From left to right: actions drawn uniformly from the robot's box; what the method was
    pre-trained as, drawn from as before any learning, unless that is uniform too; the agent, its
    actions those it thinks best. An episode that is over shows its end until the others are.

    Args:
        params: which episodes, and how they look.
        run: folder that finetune wrote; nothing in it is changed.
        out: file to write; the same bytes for the same run and params.
        prior: folder of its prior, where that no longer lies where the run found it.
        device: where the agent runs.
        progress: called after every episode of each policy.

    Returns:
        task, method, successes of each policy, by caption, num_frames and kilobytes.

    Raises:
        UserError: `out` is there and no film, the run cannot be loaded (see `load_run`), its world
            does not show itself, or the film is larger than it may be.
    """
    out = file_to_write(out, "film", _is_own)
    world = world_of(read_config(run))
    config, loaded = load_run(
        run, lambda config: world.make_env(config.task, "rgb_array"), prior, device
    )
    with closing(loaded.env) as env:
        check_can_be_filmed(env)
        actors = _actors(params.seed, config, loaded, read_json(run / METRICS)["env_steps"])
        every = -(-world.max_steps // params.max_frames)
        frames, durations = _filmed(params, actors, every, progress)
    content = _encoded(params, frames, durations, f"{MARKER} of agent {sha256_file(run / AGENT)}")
    temporary = out.with_name(f".tmp-{out.name}")
    temporary.write_bytes(content)
    replace_synced(temporary, out)
    return {
        "task": config.task,
        "method": config.method,
        "successes": {actor.caption: sum(actor.successes) for actor in actors},
        "num_episodes": params.num_episodes,
        "num_frames": len(frames),
        "kilobytes": round(len(content) / 1000),
    }


def _is_own(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return bytes(image.info.get("comment", b"")).startswith(MARKER.encode())
    except OSError:
        return False


def _actors(seed: int, config: RunConfig, run: Run, env_steps: int) -> list[_Actor]:
    """Who is filmed; the environment was reset before."""
    low, high = run.part.action_box()

    def uniform(index: int) -> SelectAction:
        rng = generator(seed, "film: random actions", index)
        return lambda _observation: rng.uniform(low, high).astype(np.float32)

    def untrained(index: int) -> SelectAction:
        rng = generator(seed, "film: untrained", index)
        return when_due(run.env, lambda _observation: run.env.sample_warmup_action(rng))

    actors = [_Actor("random actions", run.env.env, uniform)]
    if run.env.warmup_mode() is not None:
        part = named_method(config.method).part.name
        actors.append(_Actor(f"{part} before learning", run.env, untrained))
    policy = run.policy()
    actors.append(_Actor(f"agent after {env_steps:,} steps", run.env, lambda _index: policy))
    return actors


def _filmed(
    params: FilmParams, actors: Sequence[_Actor], every: int, progress: Progress
) -> tuple[list[NDArray[np.uint8]], list[int]]:
    """Frames of all episodes, one after the other, and how long each is shown, ms."""
    frames: list[NDArray[np.uint8]] = []
    durations: list[int] = []
    total = params.num_episodes * len(actors)
    for index in range(params.num_episodes):
        episodes = []
        for actor in actors:
            policy = actor.begin(index)
            episode = film_episode(actor.env, policy, seed=params.seed, index=index, every=every)
            episodes.append(episode)
            progress(index * len(actors) + len(episodes), total, actor.caption)
        num_frames = max(len(episode.images) for episode in episodes)
        frames += [_frame(params, actors, episodes, time) for time in range(num_frames)]
        for actor, episode in zip(actors, episodes, strict=True):
            actor.successes.append(episode.success)
        frames.append(_frame(params, actors, episodes, num_frames))
        durations += [params.frame_ms] * num_frames + [params.hold_ms]
    return frames, durations


def _frame(
    params: FilmParams, actors: Sequence[_Actor], episodes: Sequence[FilmedEpisode], time: int
) -> NDArray[np.uint8]:
    """All panels at one time; of an episode that is over, its end."""
    panels = []
    for actor, episode in zip(actors, episodes, strict=True):
        now = min(time, len(episode.images) - 1)
        image = scaled(episode.images[now], params.height)
        panels.append(Panel(actor.caption, image, episode.successes[now], list(actor.successes)))
    return side_by_side(panels, params.num_episodes)


def _encoded(
    params: FilmParams,
    frames: Sequence[NDArray[np.uint8]],
    durations_ms: Sequence[int],
    comment: str,
) -> bytes:
    """The film in as many colours as there is room for.

    Raises:
        UserError: there is none.
    """
    num_colors = params.num_colors
    while True:
        content = gif_bytes(frames, durations_ms, num_colors=num_colors, comment=comment)
        if len(content) <= 1000 * params.max_kilobytes:
            return content
        num_colors //= 2
        if num_colors < FEWEST_COLORS:
            raise UserError(
                f"the film has {len(content) / 1000:.0f} kB even in {2 * num_colors} colours, and "
                f"film.max_kilobytes is {params.max_kilobytes}: lower film.num_episodes, "
                "film.height or film.max_frames"
            )
