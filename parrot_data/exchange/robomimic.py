"""robomimic's HDF5: `data/demo_N` with `obs/K`, `next_obs/K`, `actions` in [-1, 1], `rewards`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError
from parrot_data.exchange.hdf5 import Node, open_hdf5, reading
from parrot_data.exchange.recording import Recording, Trajectory, json_object, listed, regular_file

_DEMO = re.compile(r"demo_([0-9]{1,9})")
_READ = ("obs", "next_obs", "actions", "rewards", "dones")


def files_of(source: Path) -> list[Path]:
    """The files that decide what is imported."""
    return [regular_file(source)]


@contextmanager
def open_recording(source: Path, key: str) -> Iterator[Recording]:
    """Open a file of robomimic.

    Args:
        source: the file.
        key: of the success rule, "" for none; read in each demonstration.

    Raises:
        UserError: it is no such file, or damaged.
    """
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
