"""What an adversary puts into a Zarr store is refused, by `verify` and by whoever reads it.

Every manifest here vouches for what was done: it was sealed again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import zarr
from hostile import LITTLE, bomb, peak_of, reseal, unsaid
from synthetic import SPEC

from parrot_data.stores.publish import read_json, write_json
from parrot_data.stores.verify import verify
from parrot_data.stores.zarr_store import ZarrEpisodes

EXABYTES = 10**12


def chunked(rows: int) -> Callable[[dict[str, Any]], None]:
    def change(value: dict[str, Any]) -> None:
        sharding = value["codecs"][0]["configuration"]
        sharding["chunk_shape"][0] = value["chunk_grid"]["configuration"]["chunk_shape"][0] = rows

    return change


def of_sharding(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda value: value["codecs"][0]["configuration"].update(changes)


ARRAYS: dict[str, Callable[[dict[str, Any]], object]] = {
    "an absurd shape": lambda v: v.update(shape=[EXABYTES, *v["shape"][1:]]),
    "one more row": lambda v: v.update(shape=[v["shape"][0] + 1, *v["shape"][1:]]),
    "absurd images": lambda v: v.update(shape=[v["shape"][0], 10**6, 10**6, 3]),
    "no shape": lambda v: v.update(shape=[]),
    "a negative shape": lambda v: v.update(shape=[-1, *v["shape"][1:]]),
    "true for one": lambda v: v.update(shape=[True, *v["shape"][1:]]),
    "absurd chunks": chunked(EXABYTES),
    "larger chunks": chunked(1000),
    "chunks that do not divide": of_sharding(chunk_shape=[7, 8, 8, 3]),
    "another dtype": lambda v: v.update(data_type="float64"),
    "objects": lambda v: v.update(data_type="object"),
    "a list for a dtype": lambda v: v.update(data_type=["uint8"]),
    "another codec": of_sharding(codecs=[{"name": "bytes"}, {"name": "numcodecs.pickle"}]),
    "no codec": lambda v: v.update(codecs=[]),
    "another fill value": lambda v: v.update(fill_value=7),
    "no names of dimensions": lambda v: v.pop("dimension_names"),
    "other names of dimensions": lambda v: v["dimension_names"].reverse(),
    "another key": lambda v: v.update(storage_transformers=[{"name": "x"}]),
    "a group": lambda v: v.update(node_type="group"),
}


@pytest.mark.parametrize("change", ARRAYS.values(), ids=ARRAYS)
def test_zarr_is_read_in_the_one_layout_that_is_written(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    shards = folder / "shards"
    store = shards / "episodes.zarr"
    path = store / "observations" / "image" / "zarr.json"
    value = read_json(path)
    change(value)
    write_json(path, value)
    reseal(shards)
    assert peak_of(lambda: verify(shards), "zarr") < LITTLE
    assert peak_of(lambda: list(ZarrEpisodes(store, SPEC)), "zarr") < LITTLE


@pytest.mark.parametrize("is_said", [True, False])
def test_a_chunk_is_refused_before_it_is_unpacked(folder: Path, is_said: bool) -> None:
    packed = bomb(1 << 28) if is_said else unsaid(bytes(1 << 24))
    store = folder / "shards" / "episodes.zarr"
    path = store / "observations" / "image" / "c" / "0" / "0" / "0" / "0"
    index = np.array([[0, len(packed)]] * 3, dtype="<u8").tobytes()
    crc = google_crc32c.value(index).to_bytes(4, "little")
    path.write_bytes(packed + index + crc)
    reseal(folder / "shards")
    assert peak_of(lambda: list(ZarrEpisodes(store, SPEC)), "unpacks to") < LITTLE + 2 * len(packed)
    assert peak_of(lambda: verify(folder / "shards"), "unpacks to") < LITTLE + 2 * len(packed)


def less(ends: np.ndarray) -> None:
    ends[-1] -= 1


def more(ends: np.ndarray) -> None:
    ends[-1] += 1


def moved(ends: np.ndarray) -> None:
    ends[0] += 1


ENDS: dict[str, Callable[[np.ndarray], object]] = {
    "one less": less,
    "one more": more,
    "moved": moved,
    "an empty episode": lambda ends: ends.put(1, ends[0]),
    "backwards": lambda ends: ends.put(range(len(ends)), ends[::-1].copy()),
    "negative": lambda ends: ends.put(0, -(2**63)),
    "absurd": lambda ends: ends.put(0, 2**63 - 1),
    "all the same": lambda ends: ends.fill(ends[-1]),
}


@pytest.mark.parametrize("change", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("name", ["episode_ends", "metadata_ends"])
def test_wrong_ends_of_episodes_are_refused(
    folder: Path, name: str, change: Callable[[np.ndarray], object]
) -> None:
    shards = folder / "shards"
    array = zarr.open_array(shards / "episodes.zarr" / name, mode="r+")
    ends = array[:]
    change(ends)
    array[:] = ends
    reseal(shards)
    assert peak_of(lambda: verify(shards), "zarr") < LITTLE
