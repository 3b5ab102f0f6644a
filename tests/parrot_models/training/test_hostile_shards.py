"""Training refuses what `verify` refuses, before it finds room for it."""

from __future__ import annotations

import json
import pickle
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import first_tar, member, reseal, rewrite_tar
from small_shards import write_shards

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.stores.manifest import MANIFEST
from parrot_models.training.transitions import load_transitions

LITTLE = 3_000_000  # bytes


def episode(index: int) -> Episode:
    rng = np.random.default_rng(index)
    return Episode(
        index=index,
        task="pick",
        objects=("block",),
        container="",
        success=True,
        failure="",
        images=rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8),
        proprioception=rng.normal(size=(6, 8)).astype(np.float32),
        actions=rng.uniform(-1, 1, (5, 7)).astype(np.float32),
        rewards=np.ones(5, dtype=np.float32),
        object_positions=np.zeros((6, 3, 3), dtype=np.float32),
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_shards(tmp_path / "shards", [episode(index) for index in range(6)])


def room_for(cache: Path) -> int:
    return sum(path.stat().st_size for path in cache.rglob("*")) if cache.exists() else 0


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a billion transitions": lambda v: v.update(num_transitions=10**9),
    "as many as could be": lambda v: v.update(num_transitions=6 * 200),
    "one more": lambda v: v.update(num_transitions=31),
    "a billion episodes": lambda v: v.update(num_episodes=10**9, num_transitions=10**10),
    "a name outside": lambda v: v["files"][0].update(name="../../x.tar"),
    "an absolute name": lambda v: v.update(tar_shards=["/tmp/x.tar", *v["tar_shards"][1:]]),
    "a shard less": lambda v: v.update(tar_shards=v["tar_shards"][1:]),
    "a shard twice": lambda v: v.update(tar_shards=[*v["tar_shards"], v["tar_shards"][0]]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_manifest_that_lies_is_refused_and_nothing_is_made(
    data: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    reseal(data, change)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"manifest\.json"):
        load_transitions(data, tmp_path / "cache")
    assert tracemalloc.get_traced_memory()[1] < LITTLE
    tracemalloc.stop()
    assert room_for(tmp_path / "cache") < LITTLE


def test_a_pickle_in_a_tar_is_refused(data: Path, tmp_path: Path) -> None:
    rewrite_tar(first_tar(data), lambda m: m.append(member("00000000.pkl", pickle.dumps(print))))
    reseal(data)
    with pytest.raises(UserError, match=r"00000000\.pkl' is no member"):
        load_transitions(data, tmp_path / "cache")


def test_one_episode_too_many_is_refused(data: Path, tmp_path: Path) -> None:
    def lose_the_last(value: dict[str, Any]) -> None:
        value.update(num_episodes=5)

    lines = (data / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (data / "episodes.jsonl").write_bytes(b"".join(lines[:-1]))
    reseal(data, lose_the_last)
    with pytest.raises(UserError, match="from the end on"):
        load_transitions(data, tmp_path / "cache")


@pytest.mark.parametrize("is_resealed", [False, True])
def test_a_flipped_bit_trains_nobody_on_something_else(
    data: Path, tmp_path: Path, is_resealed: bool
) -> None:
    expected, rng = load_transitions(data, tmp_path / "whole"), random.Random(is_resealed)
    manifest = (data / MANIFEST).read_bytes()
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        if is_resealed and path.name == MANIFEST:
            continue
        content = path.read_bytes()
        for round_ in range(12):
            at = rng.randrange(len(content))
            harmed = content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
            path.write_bytes(harmed)
            if is_resealed:
                reseal(data)
            found = loaded_or_sentence(data, tmp_path / f"{path.stem}-{round_}")
            if not isinstance(found, str):
                assert np.array_equal(found.images, expected.images)
                assert np.array_equal(found.actions, expected.actions)
            path.write_bytes(content)
        (data / MANIFEST).write_bytes(manifest)
    assert json.loads(manifest)["num_transitions"] == len(expected.actions)


def loaded_or_sentence(data: Path, cache: Path) -> Any:
    try:
        return load_transitions(data, cache)
    except UserError as error:
        return str(error)
