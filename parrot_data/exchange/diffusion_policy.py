"""diffusion_policy's replay buffers: Zarr format 2, `data/K` concatenated, `meta/episode_ends`.

What its `ReplayBuffer` (diffusion_policy/common/replay_buffer.py) reads and writes. It has a row a
step, so that of each episode the last observation is missing. The names in `data` are the
observations, but for `action` and `reward`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.exchange.format import ExportOptions, Format, Holds
from parrot_data.exchange.recording import Recording, Trajectory, check_size, listed
from parrot_data.exchange.zarr2 import ArrayReader, ArrayWriter, open_array

STORE = "replay.zarr"  # of an export
_ACTION, _REWARD = "action", "reward"
_GROUP = '{\n    "zarr_format": 2\n}'
_MAX_EPISODES = 1 << 27


def files_of(source: Path) -> list[Path]:
    """The files that decide what is imported."""
    store = _store_of(source)
    return [path for path in sorted(store.rglob("*")) if path.is_file()]


def _store_of(source: Path) -> Path:
    store = source / STORE if (source / STORE).is_dir() else source
    if store.is_file():
        raise UserError(f"{store} is a file: unpack it, and name the folder, such as {STORE}.")
    if not (store / "data").is_dir() or not (store / "meta").is_dir():
        raise UserError(
            f"{store} is no replay buffer of diffusion_policy's: name a folder of Zarr with data "
            "and meta in it."
        )
    return store


@contextmanager
def open_recording(source: Path, key: str) -> Iterator[Recording]:
    """Open a replay buffer.

    Args:
        source: its folder.
        key: of the success rule, "" for none: a flag a step in `data`, or an episode in `meta`.

    Raises:
        UserError: it is no such folder, or damaged.
    """
    store = _store_of(source)
    ends = _ends_of(store)
    names = sorted(path.parent.name for path in (store / "data").glob("*/.zarray"))
    if _ACTION not in names:
        raise UserError(
            f"{store}/data has no {_ACTION}, only {listed(names) or 'nothing'}: add it."
        )
    arrays = {name: open_array(store / "data" / name) for name in names}
    for array in arrays.values():
        if not array.shape or array.shape[0] != ends[-1]:
            raise UserError(
                f"{array.path} is of shape {array.shape}, but the episodes end at {ends[-1]}: make "
                "their lengths agree."
            )
    yield Recording(
        path=store,
        task="" if store.name == STORE else store.name.removesuffix(".zarr"),
        num_episodes=len(ends) - 1,
        trajectories=_trajectories(arrays, ends, key, _flags_of(store, key, len(ends) - 1)),
    )


def _trajectories(
    arrays: Mapping[str, ArrayReader], ends: Sequence[int], key: str, flags: ArrayReader | None
) -> Iterator[Trajectory]:
    seen = [name for name in arrays if name not in (_ACTION, _REWARD, key)]
    for index, (start, stop) in enumerate(pairwise(ends)):
        for array in arrays.values():
            check_size(f"{array.path}: episode {index}", array.dtype, (stop - start, *array.row))
        flag = arrays[key].rows(start, stop) if key in arrays else None
        yield Trajectory(
            name=str(index),
            observations={name: arrays[name].rows(start, stop) for name in seen},
            next_observations=None,
            actions=arrays[_ACTION].rows(start, stop),
            rewards=arrays[_REWARD].rows(start, stop) if _REWARD in arrays else None,
            terminated=False,
            flag=flags.rows(index, index + 1) if flags is not None else flag,
        )


def _ends_of(store: Path) -> list[int]:
    """0, and the end of each episode."""
    array = open_array(store / "meta" / "episode_ends")
    if len(array.shape) != 1 or array.dtype.kind not in "iu":
        raise UserError(f"{array.path} are no ends of episodes: write whole numbers, one each.")
    if not 1 <= array.shape[0] <= _MAX_EPISODES:
        raise UserError(f"{array.path} names {array.shape[0]} episodes: name another folder.")
    ends = [0, *array.rows(0, array.shape[0]).tolist()]
    if any(stop <= start for start, stop in pairwise(ends)):
        raise UserError(f"{array.path} does not ascend: each episode ends after the one before it.")
    return ends


def _flags_of(store: Path, key: str, num_episodes: int) -> ArrayReader | None:
    """The key's flags, where `meta` has one an episode."""
    if not key or key == "episode_ends" or "/" in key or not (store / "meta" / key).is_dir():
        return None
    array = open_array(store / "meta" / key)
    return array if array.shape == (num_episodes,) else None


def write(
    episodes: Iterator[Episode],
    spec: EpisodeSpec,
    num_episodes: int,
    folder: Path,
    options: ExportOptions,
) -> None:
    """Write `replay.zarr`; see `parrot_data.exchange.format.Write`.

    Raises:
        UserError: an observation is called as an array of the format's own.
    """
    for name in spec.observations:
        # Where upper and lower case are one, two folders would be.
        if name.lower() in (_ACTION, _REWARD):
            raise UserError(
                f"the observation {name} would be taken for diffusion_policy's {name.lower()}: "
                "export to another format."
            )
    data, meta, num_steps = folder / STORE / "data", folder / STORE / "meta", options.num_steps
    for group in (folder / STORE, data, meta):
        group.mkdir()
        (group / ".zgroup").write_text(_GROUP, encoding="utf-8")
    float32 = np.dtype("<f4")
    action = ArrayWriter(data / _ACTION, float32, (num_steps, spec.action.dim))
    reward = ArrayWriter(data / _REWARD, float32, (num_steps,))
    seen = {
        name: ArrayWriter(data / name, each.dtype, (num_steps, *each.shape))
        for name, each in sorted(spec.observations.items())
    }
    ends = ArrayWriter(meta / "episode_ends", np.dtype("<i8"), (num_episodes,))
    success = ArrayWriter(meta / "success", np.dtype(np.bool_), (num_episodes,))
    total = 0
    for episode in episodes:
        total += episode.num_steps
        action.append(episode.actions)
        reward.append(episode.rewards)
        for name, writer in seen.items():
            writer.append(episode.observations[name][:-1])
        ends.append(np.array([total], dtype="<i8"))
        success.append(np.array([episode.success]))
    for writer in (action, reward, *seen.values(), ends, success):
        writer.close()


FORMAT = Format(
    name="diffusion-policy",
    title="[diffusion_policy](https://github.com/real-stanford/diffusion_policy)",
    layout=f"`{STORE}`, Zarr format 2",
    makes=(STORE,),
    files_of=files_of,
    open_recording=open_recording,
    write=write,
    holds=Holds(observations="steps", rewards=True, terminated=False, task=False, success=True),
    says_bounds=False,
)
