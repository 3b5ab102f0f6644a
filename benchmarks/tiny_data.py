"""Datasets of very many episodes, each as small as can be: what is measured is what each one costs.

Of an episode there is one step of a vector of two numbers. A few sets of arrays are compressed
once; everything that is said of an episode is its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import zstandard

from benchmarks.setting import Setting
from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import ActionSpec, EpisodeSpec, VectorSpec
from parrot_data.filter import FilterParams, filter_episodes
from parrot_data.shard import shard
from parrot_data.stores import tar_shards
from parrot_data.stores.blocks import Block, blocks_of, complete, gather
from parrot_data.stores.entries import ENTRIES, EpisodeEntry, line_of, write_entries
from parrot_data.stores.manifest import EpisodesManifest, load_manifest, save_manifest
from parrot_data.stores.packed import pack_array
from parrot_data.stores.records import file_entry
from parrot_data.stores.shard_params import ShardParams
from parrot_data.streams import generator

SPEC = EpisodeSpec(
    observations={"state": VectorSpec(dim=2)},
    action=ActionSpec(dim=1, low=[-1.0], high=[1.0]),
    control_rate_hz=None,
    cameras={},
    tool=None,
    mirror=None,
    privileged={},
)
NUM_ARRAYS = 64  # sets of arrays, in turn
# As many files at a million episodes as of real ones; at the least size still several of each.
EPISODES_PER_FILE = 1000
LAYOUT = ShardParams(steps_per_chunk=50, chunks_per_shard=10, episodes_per_tar=1000, zstd_level=3)


@dataclass(frozen=True)
class _Arrays:
    """The arrays of an episode, as they are stored, and as they are hashed after the metadata."""

    members: dict[str, bytes]
    hashed: bytes


def tiny_blocks(setting: Setting, num_episodes: int) -> Path:
    """Finished blocks of that many episodes, as `generate` has them before it gathers them."""
    folder = setting.scratch / f"tiny-blocks-{num_episodes}"
    if not folder.exists():
        making = folder.with_name(f"{folder.name}.making")
        making.mkdir()
        arrays = list(_arrays())
        for block in _blocks(num_episodes):
            _write_block(making, block, arrays)
        making.replace(folder)
    return folder


def gathered(folder: Path, num_episodes: int) -> EpisodesManifest:
    """What `generate` does once its blocks are finished, but for the renaming of its folder."""
    files, entries = gather(folder, _blocks(num_episodes))
    manifest = EpisodesManifest(
        params={"generate": {"seed": 0}},
        spec=SPEC,
        seed=0,
        num_episodes=num_episodes,
        files=files,
        episodes=entries,
    )
    save_manifest(folder, manifest)
    return manifest


def tiny_raw_data(setting: Setting, num_episodes: int) -> Path:
    """Raw data of that many episodes, two of three successes, made once."""
    out = setting.scratch / f"tiny-{num_episodes}"
    if not out.exists():
        making = out.with_name(f"{out.name}.making")
        making.mkdir()
        blocks = tiny_blocks(setting, num_episodes)
        for path in blocks.glob("episodes-*"):
            (making / path.name).hardlink_to(path)
        gathered(making, num_episodes)
        for block in _blocks(num_episodes):
            block.entries(making).unlink()
            block.record(making).unlink()
        making.replace(out)
    return out


def tiny_kept(setting: Setting, num_episodes: int) -> Path:
    """The decision to keep all that succeeded, made once."""
    out = setting.scratch / f"tiny-kept-{num_episodes}"
    if not out.exists():
        everything = FilterParams(tasks=[], max_episodes_per_task=0, max_episodes=0)
        filter_episodes(everything, tiny_raw_data(setting, num_episodes), out)
    return out


def tiny_shards(setting: Setting, num_episodes: int) -> Path:
    """Shards of these, made once."""
    out = setting.scratch / f"tiny-shards-{num_episodes}"
    if not out.exists():
        raw = tiny_raw_data(setting, num_episodes)
        shard(LAYOUT, raw, tiny_kept(setting, num_episodes), out)
    return out


def tiny_changed_shards(setting: Setting, num_episodes: int) -> Path:
    """What `diff` reads of shards in which each tenth of the second half is another episode."""
    out = setting.scratch / f"tiny-changed-{num_episodes}"
    if not out.exists():
        shards = tiny_shards(setting, num_episodes)
        manifest = load_manifest(shards, "shards")
        making = out.with_name(f"{out.name}.making")
        making.mkdir()
        first = manifest.num_episodes // 2
        write_entries(
            making / ENTRIES,
            (
                _another(entry) if place >= first and place % 10 == 0 else entry
                for place, entry in enumerate(manifest.entries(shards))
            ),
        )
        entries = file_entry(making, making / ENTRIES)
        save_manifest(making, manifest.model_copy(update={"episodes": entries}))
        making.replace(out)
    return out


def _another(entry: EpisodeEntry) -> EpisodeEntry:
    return replace(entry, content_hash=hashlib.sha256(entry.content_hash.encode()).hexdigest())


def _blocks(num_episodes: int) -> list[Block]:
    return blocks_of(num_episodes, max(1, min(EPISODES_PER_FILE, num_episodes // 4)))


def _arrays() -> Iterator[_Arrays]:
    compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
    for number in range(NUM_ARRAYS):
        rng = generator(0, "benchmark: tiny episode", number)
        episode = Episode(
            index=0,
            task="",
            success=True,
            failure="",
            terminated=False,
            observations={"state": rng.normal(size=(2, 2)).astype(np.float32)},
            actions=rng.uniform(-1.0, 1.0, (1, 1)).astype(np.float32),
            rewards=np.zeros(1, np.float32),
        )
        members, hashed = {}, b""
        for name, array in episode.arrays().items():
            members[f"{name}.npy.zst"] = pack_array(array, compressor)
            hashed += f"{name}{array.dtype.str}{array.shape}".encode() + array.tobytes()
        yield _Arrays(members, hashed)


def _write_block(folder: Path, block: Block, arrays: list[_Arrays]) -> None:
    with block.entries(folder).open("w", encoding="utf-8") as lines:

        def samples() -> Iterator[tar_shards.Sample]:
            for index in range(block.start, block.stop):
                of_this = arrays[index % NUM_ARRAYS]
                said = _said_of(index)
                text = said.metadata_text()
                content_hash = hashlib.sha256(text + of_this.hashed).hexdigest()
                lines.write(line_of(_entry(said, content_hash)))
                yield {
                    "__key__": tar_shards.key_of(index), "episode.json": text, **of_this.members
                }  # fmt: skip

        tar_shards.write_samples(block.tar(folder), samples())
    complete(block, folder)


def _said_of(index: int) -> Episode:
    """An episode of which there is only what is said of it."""
    nothing = np.empty((0, 1), np.float32)
    is_success = index % 3 != 0
    return Episode(
        index=index,
        task="pick" if index % 5 else "place",
        success=is_success,
        failure="" if is_success else "never_grasped",
        terminated=is_success,
        observations={},
        actions=nothing,
        rewards=nothing,
        facts={"container": "tray", "objects": ["mug", "bowl", "plate"], "seed": index},
    )


def _entry(said: Episode, content_hash: str) -> EpisodeEntry:
    return EpisodeEntry(**said.metadata(), num_steps=1, content_hash=content_hash)
