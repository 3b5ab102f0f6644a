"""Minari's folders: `data/metadata.json` and `data/main_data.hdf5`, without Minari."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import MAX_SIDE, EpisodeSpec, ImageSpec
from parrot_data.errors import UserError
from parrot_data.exchange.format import ExportOptions, Format, Holds
from parrot_data.exchange.hdf5 import Node, create_hdf5, open_hdf5, put, reading
from parrot_data.exchange.recording import (
    MAX_BYTES,
    Recording,
    Trajectory,
    json_object,
    listed,
    regular_file,
    shown,
    single_name,
)

_EPISODE = re.compile(r"episode_([0-9]{1,9})")
_READ = ("observations", "actions", "rewards", "terminations", "truncations")
_MAIN, _METADATA = "main_data.hdf5", "metadata.json"
_MAX_METADATA_BYTES = 1 << 26  # of a space of images, both bounds of every number of a pixel
_VERSION = "0.5.4"  # of Minari, whose layout this is
_UNBOUNDED = 1e30  # a bound beyond it is none: some write the largest float for it


def files_of(source: Path) -> list[Path]:
    """The files that decide what is imported."""
    folder = source / "data" if (source / "data").is_dir() else source
    if not folder.is_dir():
        raise UserError(
            f"{source} is no folder: name the folder of a dataset of Minari's, which holds "
            f"data/{_MAIN} and data/{_METADATA}."
        )
    return [regular_file(folder / _MAIN), regular_file(folder / _METADATA)]


@contextmanager
def open_recording(source: Path, key: str) -> Iterator[Recording]:
    """Open a dataset of Minari's.

    Args:
        source: its folder.
        key: of the success rule, "" for none; read in each episode, such as infos/success.

    Raises:
        UserError: it is no such dataset, or damaged.
    """
    main, metadata = files_of(source)
    said = _metadata_of(metadata)
    space = json_object(said.get("observation_space"))
    with open_hdf5(main) as file:
        with reading(main):
            names = [name for name in file.names() if _EPISODE.fullmatch(name)]
            names.sort(key=lambda name: (int(name.removeprefix("episode_")), name))
            if not names:
                raise UserError(f"{main} has no episode_0: it is no dataset of Minari's.")
            notes = _notes(file, names, space)
        yield Recording(
            path=main,
            task=_task_of(said),
            num_episodes=len(names),
            trajectories=_trajectories(file, names, main, space, key),
            bounds=_bounds_of(json_object(said.get("action_space"))),
            notes=notes,
        )


def _trajectories(
    file: Node, names: Sequence[str], main: Path, space: Mapping[str, Any], key: str
) -> Iterator[Trajectory]:
    for name in names:
        with reading(main):
            episode = file.group(name)
            ended = episode.array("terminations") if "terminations" in episode else np.zeros(1)
            trajectory = Trajectory(
                name=name,
                observations=_observations(episode, space),
                next_observations=None,
                actions=_actions(episode),
                rewards=episode.array("rewards") if "rewards" in episode else None,
                terminated=bool(ended.size and ended.ravel()[-1]),
                flag=episode.flag(key) if key else None,
            )
        yield trajectory


def _actions(episode: Node) -> NDArray[Any]:
    if episode.is_group("actions"):
        raise UserError(
            f"{episode.where}: its actions are several arrays, where one vector a step is needed: "
            "join them."
        )
    return episode.array("actions")


def _observations(episode: Node, space: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Arrays by their keys joined by "/"; one that has none is named as worlds name it."""
    found = {}
    for node, name, place in episode.leaves("observations"):
        rows = _decoded(node, name, _space_at(space, place))
        found["/".join(place) or single_name(rows)] = rows
    return found


def _space_at(space: Mapping[str, Any], place: Sequence[str]) -> Mapping[str, Any]:
    """The space of an array inside of others; {} where the metadata tell none."""
    for key in place:
        inner: Any = space.get("subspaces")
        if isinstance(inner, list):  # of a Tuple
            inner = {f"_index_{index}": each for index, each in enumerate(inner)}
        within = inner.get(key) if isinstance(inner, dict) else None
        if not isinstance(within, dict):
            return {}
        space = within
    return space


def _decoded(node: Node, name: str, space: Mapping[str, Any]) -> NDArray[Any]:
    """An array; images that were stored as JPEG are decoded."""
    shape = space.get("shape")
    if not _is_image(space) or not isinstance(shape, list) or node.num_axes(name) == 4:
        return node.array(name)
    height, width, _ = shape
    encoded = node.rows_of_bytes(name)
    if len(encoded) * height * width * 3 > MAX_BYTES:
        raise UserError(f"{node.where}: {shown(name)} holds more than {MAX_BYTES} bytes: cut it.")
    images = np.empty((len(encoded), height, width, 3), dtype=np.uint8)
    for step, data in enumerate(encoded):
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if image.size != (width, height) or image.mode != "RGB":
                raise UserError(
                    f"{node.where}: {shown(name)} at step {step} is {image.mode} {image.size}, in "
                    f"its space RGB {(width, height)}: make them agree."
                )
            images[step] = np.asarray(image)
    return images


def _is_image(space: Mapping[str, Any]) -> bool:
    shape = space.get("shape")
    return (
        space.get("type") == "Box"
        and space.get("dtype") == "uint8"
        and isinstance(shape, list)
        and len(shape) == 3
        and shape[2] == 3
        and all(type(side) is int and 1 <= side <= MAX_SIDE for side in shape)
    )


def _bounds_of(space: Mapping[str, Any]) -> tuple[list[float], list[float]] | None:
    low, high = space.get("low"), space.get("high")
    if not isinstance(low, list) or not isinstance(high, list) or len(low) != len(high):
        return None
    if not low or not all(map(_is_bound, [*low, *high])):
        return None
    if any(below >= above for below, above in zip(low, high, strict=True)):
        return None
    return [float(value) for value in low], [float(value) for value in high]


def _is_bound(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) < _UNBOUNDED


def _task_of(said: Mapping[str, Any]) -> str:
    env = json_object(said.get("env_spec")).get("id") or said.get("dataset_id")
    return env if isinstance(env, str) else ""


def _metadata_of(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MAX_METADATA_BYTES:
        raise UserError(f"{path} has more than {_MAX_METADATA_BYTES} bytes: it is no metadata.")
    said = json_object(path.read_text(encoding="utf-8", errors="replace"))
    if not said:
        raise UserError(f"{path} holds no JSON object: restore it, or download the dataset again.")
    wanted = said.get("data_format", "hdf5")
    if wanted != "hdf5":
        raise UserError(f"{path} says data_format {shown(wanted)}: only hdf5 can be imported.")
    return said


def _notes(file: Node, names: Sequence[str], space: Mapping[str, Any]) -> list[str]:
    first = file.group(names[0])
    left_out = [name for name in first.names() if name not in _READ]
    notes = ["the seed and the options of each episode are not kept"]
    if left_out:
        notes.append(f"of each episode, {listed(left_out)} are not kept")
    if _holds_jpeg(first, space):
        notes.append("images were stored as JPEG: they are what JPEG left of them")
    return notes


def _holds_jpeg(episode: Node, space: Mapping[str, Any]) -> bool:
    return any(
        _is_image(_space_at(space, place)) and node.num_axes(name) != 4
        for node, name, place in episode.leaves("observations")
    )


def write(
    episodes: Iterator[Episode],
    spec: EpisodeSpec,
    num_episodes: int,
    folder: Path,
    options: ExportOptions,
) -> None:
    """Write `data/`; see `parrot_data.exchange.format.Write`.

    Minari loads it from a folder of the dataset's id, such as `reach-v0`, among its datasets, or
    by `MinariDataset(OUT / "data")` from anywhere.
    """
    data = folder / "data"
    data.mkdir()
    text = json.dumps(_metadata_for(spec, num_episodes, options), sort_keys=True)
    if len(text) > _MAX_METADATA_BYTES:
        raise UserError(
            "the images are too large for Minari, whose metadata name the bounds of every number "
            "of them: export to another format."
        )
    with create_hdf5(data / _MAIN) as file:
        for number, episode in enumerate(episodes):
            _put_episode(file.create_group(f"episode_{number}"), number, episode)
    (data / _METADATA).write_text(text + "\n", encoding="utf-8")


def _put_episode(group: Any, number: int, episode: Episode) -> None:
    group.attrs["id"] = number
    group.attrs["total_steps"] = episode.num_steps
    for name, rows in sorted(episode.observations.items()):
        put(group, f"observations/{name}", rows)
    last = np.arange(episode.num_steps) == episode.num_steps - 1
    put(group, "actions", episode.actions)
    put(group, "rewards", episode.rewards)
    put(group, "terminations", last & episode.terminated)
    put(group, "truncations", last & (not episode.terminated))
    put(group, "infos/success", np.append(np.zeros(episode.num_steps, bool), episode.success))


def _metadata_for(
    spec: EpisodeSpec, num_episodes: int, options: ExportOptions
) -> dict[str, object]:
    unbounded = [math.inf] * spec.action.dim
    action = {
        "type": "Box",
        "dtype": "float32",
        "shape": [spec.action.dim],
        "low": spec.action.low or [-each for each in unbounded],
        "high": spec.action.high or unbounded,
    }
    seen = {
        name: _space_of(np.dtype(each.dtype), each.shape, isinstance(each, ImageSpec))
        for name, each in sorted(spec.observations.items())
    }
    return {
        "dataset_id": f"{re.sub(r'[^A-Za-z0-9_-]', '-', options.title)}-v0",
        "minari_version": _VERSION,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "total_episodes": num_episodes,
        "total_steps": options.num_steps,
        "observation_space": json.dumps({"type": "Dict", "subspaces": seen}, sort_keys=True),
        "action_space": json.dumps(action, sort_keys=True),
    }


def _space_of(dtype: np.dtype[Any], shape: tuple[int, ...], is_image: bool) -> dict[str, object]:
    low, high = (0, 255) if is_image else (-math.inf, math.inf)
    bounds = {"low": np.full(shape, low).tolist(), "high": np.full(shape, high).tolist()}
    return {"type": "Box", "dtype": dtype.name, "shape": list(shape), **bounds}


FORMAT = Format(
    name="minari",
    title="[Minari](https://minari.farama.org)",
    layout=f"`data/{_MAIN}`, `data/{_METADATA}`",
    makes=("data",),
    files_of=files_of,
    open_recording=open_recording,
    write=write,
    holds=Holds(observations="all", rewards=True, terminated=True, task=False, success=True),
    says_bounds=True,
)
