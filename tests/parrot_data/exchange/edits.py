"""Edits of exports, such as their users make: each with the library of its format."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np


def in_hdf5(path: Path, array: str) -> None:
    import h5py

    with h5py.File(path, "a") as file:
        file[array][0, 0] += 1


def robomimic(out: Path) -> None:
    in_hdf5(out / "demo.hdf5", "data/demo_1/actions")


def minari(out: Path) -> None:
    in_hdf5(out / "data/main_data.hdf5", "episode_1/actions")


def npz(out: Path) -> None:
    with np.load(out / "episodes.npz") as file:
        arrays = dict(file)
    second = np.flatnonzero(arrays["terminals"])[0] + 1
    arrays["actions"][second] += 1
    np.savez(out / "episodes.npz", **arrays)


def diffusion_policy(out: Path) -> None:
    import zarr

    root = zarr.open(str(out / "replay.zarr"), mode="r+", zarr_format=2)
    second = int(root["meta"]["episode_ends"][0])
    root["data"]["action"][second] = root["data"]["action"][second] + 1


def webdataset(out: Path) -> None:
    (tar,) = out.glob("shard-*.tar")
    with tarfile.open(tar) as archive:
        members = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
    actions = np.load(io.BytesIO(members["00000001.actions.npy"]))
    plain = io.BytesIO()
    np.save(plain, actions + 1)
    members["00000001.actions.npy"] = plain.getvalue()
    with tarfile.open(tar, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def lerobot(out: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = out / "data/chunk-000/file-000.parquet"
    rows = parquet.read_table(path)
    second = rows["episode_index"].to_pylist().index(1)
    actions = rows["action"].to_pylist()
    actions[second][0] += 1
    place = rows.schema.get_field_index("action")
    edited = pa.array(actions, rows.schema.field("action").type)
    parquet.write_table(rows.set_column(place, rows.schema.field("action"), edited), path)


def rlds(out: Path) -> None:
    from tensorflow_records import example, read_examples, write_records

    (shard,) = out.glob("parrot_*/1.0.0/parrot_*.tfrecord-00000-of-00001")
    episodes = [
        {name: list(values) for name, values in episode.items()} for episode in read_examples(shard)
    ]
    episodes[1]["steps/action"][0] += 1
    write_records(shard, [example(episode) for episode in episodes])


# What adds 1 to an action of the second episode.
EDITS: dict[str, Callable[[Path], None]] = {
    "robomimic": robomimic,
    "minari": minari,
    "npz": npz,
    "diffusion-policy": diffusion_policy,
    "lerobot": lerobot,
    "lerobot-video": lerobot,
    "rlds": rlds,
    "webdataset": webdataset,
}
