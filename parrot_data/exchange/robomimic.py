"""robomimic's HDF5: `data/demo_N` with `obs/K`, `next_obs/K`, `actions` in [-1, 1], `rewards`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.exchange.format import ExportOptions, Format, Holds
from parrot_data.exchange.hdf5 import Node, create_hdf5, open_hdf5, put, reading
from parrot_data.exchange.recording import Recording, Trajectory, json_object, listed, regular_file

_DEMO = re.compile(r"demo_([0-9]{1,9})")
_READ = ("obs", "next_obs", "actions", "rewards", "dones")
FILE = "demo.hdf5"  # of an export
_GYM = 2  # the kind of environment, of robomimic's `EnvType`


def files_of(source: Path) -> list[Path]:
    """The files that decide what is imported."""
    return [_file_of(source)]


def _file_of(source: Path) -> Path:
    return regular_file(source / FILE if source.is_dir() else source)


@contextmanager
def open_recording(source: Path, key: str) -> Iterator[Recording]:
    """Open a file of robomimic.

    Args:
        source: the file.
        key: of the success rule, "" for none; read in each demonstration.

    Raises:
        UserError: it is no such file, or damaged.
    """
    source = _file_of(source)
    with open_hdf5(source) as file:
        with reading(source):
            data = file.group("data")
            demos = [name for name in data.names() if _DEMO.fullmatch(name)]
            demos.sort(key=lambda name: (int(name.removeprefix("demo_")), name))
            if not demos:
                raise UserError(f"{data.where} has no demo_0: it is no file of robomimic's.")
            said = json_object(data.attribute("env_args"))
            notes = _notes(file, data, demos)
        width = _width(data, demos[0], source)
        yield Recording(
            path=source,
            task=str(said.get("env_name") or ""),
            num_episodes=len(demos),
            trajectories=_trajectories(data, demos, source, key),
            bounds=([-1.0] * width, [1.0] * width),
            control_rate_hz=_rate_of(said),
            notes=notes,
        )


def _trajectories(data: Node, demos: Sequence[str], source: Path, key: str) -> Iterator[Trajectory]:
    for name in demos:
        with reading(source):
            demo = data.group(name)
            trajectory = Trajectory(
                name=name,
                observations=demo.arrays("obs"),
                next_observations=demo.arrays("next_obs") if "next_obs" in demo else None,
                actions=demo.array("actions"),
                rewards=demo.array("rewards") if "rewards" in demo else None,
                terminated=False,
                flag=demo.flag(key) if key else None,
            )
        yield trajectory


def _width(data: Node, demo: str, source: Path) -> int:
    """Of the action; 0, with which no spec is made, where it is no vector."""
    with reading(source):
        shape = data.group(demo).array("actions").shape
    return int(shape[1]) if len(shape) == 2 else 0


def _notes(file: Node, data: Node, demos: Sequence[str]) -> list[str]:
    first = data.group(demos[0])
    left_out = [name for name in first.names() if name not in _READ]
    others = [name for name in data.names() if name not in demos]
    notes = []
    if left_out:
        notes.append(f"of each demonstration, {listed(left_out)} are not kept")
    if "dones" in first:
        notes.append("dones mark successes or ends of recordings, so no episode is terminated")
    if first.attribute("model_file") is not None:
        notes.append("model_file, the scene of each demonstration, is not kept")
    if "mask" in file:
        notes.append(f"the splits {listed(file.group('mask').names())} (mask) are not kept")
    if others:
        notes.append(f"{listed(others)} beside the demonstrations are not kept")
    return notes


def _rate_of(said: Mapping[str, Any]) -> float | None:
    """Actions a second, where the environment's arguments say them."""
    control = said.get("env_kwargs")
    rate = control.get("control_freq") if isinstance(control, dict) else None
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        return None
    return float(rate) if 0 < rate < 1e6 else None


def write(
    episodes: Iterator[Episode],
    spec: EpisodeSpec,  # noqa: ARG001 each format has the same arguments
    num_episodes: int,  # noqa: ARG001
    folder: Path,
    options: ExportOptions,
) -> None:
    """Write `demo.hdf5`; see `parrot_data.exchange.format.Write`.

    Its filter keys (`mask`) are `success` and, where there are several tasks, `task_NAME` of each.
    """
    masks: dict[str, list[bytes]] = {"success": []}
    names = _mask_names(options.tasks) if len(options.tasks) > 1 else {}
    masks.update({name: [] for name in names.values()})
    with create_hdf5(folder / FILE) as file:
        data = file.create_group("data")
        data.attrs["total"] = options.num_steps
        data.attrs["env_args"] = _env_args(options)
        for number, episode in enumerate(episodes):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = episode.num_steps
            demo.attrs["success"] = int(episode.success)
            for name, rows in sorted(episode.observations.items()):
                put(demo, f"obs/{name}", rows[:-1])
                put(demo, f"next_obs/{name}", rows[1:])
            put(demo, "actions", episode.actions)
            put(demo, "rewards", episode.rewards)
            put(
                demo, "dones", (np.arange(episode.num_steps) == episode.num_steps - 1).astype("<i8")
            )
            if episode.success:
                masks["success"].append(f"demo_{number}".encode())
            if names:
                masks[names[episode.task]].append(f"demo_{number}".encode())
        for name, demos in masks.items():
            file[f"mask/{name}"] = np.array(demos, dtype="S" if demos else "S1")


def _env_args(options: ExportOptions) -> str:
    rate = options.control_rate_hz
    kwargs = {} if rate is None else {"control_freq": rate}
    return json.dumps({"env_name": options.title, "type": _GYM, "env_kwargs": kwargs})


def _mask_names(tasks: Sequence[str]) -> dict[str, str]:
    """A filter key for each task, of letters that lead to no other group of the file."""
    plain = {task: "task_" + re.sub(r"[^A-Za-z0-9_.-]", "_", task) for task in tasks}
    if len(set(plain.values())) < len(tasks):
        return {task: f"{plain[task]}_{number}" for number, task in enumerate(tasks)}
    return plain


def _remarks(spec: EpisodeSpec) -> list[str]:
    low, high = spec.action.low, spec.action.high
    if low is not None and high is not None and {*low, -1.0} == {-1.0} and {*high, 1.0} == {1.0}:
        return []
    return [
        "robomimic's policies act within [-1, 1] and the data's bounds are others: scale the "
        "actions before you train with it"
    ]


FORMAT = Format(
    name="robomimic",
    title="[robomimic](https://robomimic.github.io)",
    layout=f"`{FILE}`",
    makes=(FILE,),
    files_of=files_of,
    open_recording=open_recording,
    write=write,
    holds=Holds(observations="all", rewards=True, terminated=False, task=False, success=True),
    says_bounds=True,
    remarks=_remarks,
)
