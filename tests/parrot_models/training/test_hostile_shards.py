"""Training refuses what `verify` refuses, before it finds room for it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import peak_of, reseal
from small_shards import write_made_up

from parrot_data.errors import UserError
from parrot_data.stores.manifest import MANIFEST
from parrot_models.training.transitions import load_transitions
from tests.specs import spec_of

LITTLE = 3_000_000  # bytes
SPEC = spec_of(images={"image": (8, 8)}, vectors={"pose": 3})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_made_up(tmp_path / "shards", SPEC)


def room_for(cache: Path) -> int:
    return sum(path.stat().st_size for path in cache.rglob("*")) if cache.exists() else 0


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a billion transitions": lambda v: v.update(num_transitions=10**9),
    "as many as could be": lambda v: v.update(num_transitions=6 * 1_000_000),
    "one more": lambda v: v.update(num_transitions=32),
    "a billion episodes": lambda v: v.update(num_episodes=10**9, num_transitions=10**10),
    "a name outside": lambda v: v["files"][0].update(name="../../x.tar"),
    "an absolute name": lambda v: v.update(zarr="/tmp/x.zarr"),
    "another store": lambda v: v.update(zarr="other.zarr"),
    "a larger image": lambda v: v["spec"]["observations"]["image"].update(height=4096),
    "a wider action": lambda v: v["spec"]["action"].update(dim=65536, low=None, high=None),
    "another vector": lambda v: v["spec"]["observations"].update(more={"kind": "vector", "dim": 3}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_manifest_that_lies_is_refused_and_nothing_is_made(
    data: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    reseal(data, change)
    sentence = r"manifest|no Zarr store"
    assert peak_of(lambda: load_transitions(data, tmp_path / "cache"), sentence) < LITTLE
    assert room_for(tmp_path / "cache") < LITTLE


def test_one_episode_too_many_is_refused(data: Path, tmp_path: Path) -> None:
    def lose_the_last(value: dict[str, Any]) -> None:
        value.update(num_episodes=5)

    lines = (data / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (data / "episodes.jsonl").write_bytes(b"".join(lines[:-1]))
    reseal(data, lose_the_last)
    with pytest.raises(UserError, match="holds 6 episodes where its manifest says 5"):
        load_transitions(data, tmp_path / "cache")


@pytest.mark.parametrize("is_resealed", [False, True])
def test_a_flipped_bit_trains_nobody_on_something_else(
    data: Path, tmp_path: Path, is_resealed: bool
) -> None:
    expected, rng = load_transitions(data, tmp_path / "whole"), random.Random(is_resealed)
    manifest = (data / MANIFEST).read_bytes()
    paths = sorted(path for path in data.rglob("*") if path.is_file())
    for number, path in enumerate(paths):
        if is_resealed and path.name == MANIFEST:
            continue
        content = path.read_bytes()
        for round_ in range(4):
            at = rng.randrange(len(content))
            harmed = content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
            path.write_bytes(harmed)
            if is_resealed:
                reseal(data)
            found = loaded_or_sentence(data, tmp_path / f"{number}-{round_}")
            if not isinstance(found, str):
                for name, values in expected.observations.items():
                    assert np.array_equal(found.observations[name], values)
                assert np.array_equal(found.actions, expected.actions)
            path.write_bytes(content)
        (data / MANIFEST).write_bytes(manifest)
    assert json.loads(manifest)["num_transitions"] == len(expected.actions)


def loaded_or_sentence(data: Path, cache: Path) -> Any:
    try:
        return load_transitions(data, cache)
    except UserError as error:
        return str(error)
