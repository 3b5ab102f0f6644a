from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_shards import write_shards

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.stores.entries import ENTRIES, write_entries
from parrot_data.stores.manifest import load_manifest, save_manifest
from parrot_data.stores.records import file_entry
from parrot_data.streams import generator
from parrot_models.training.batches import TransitionBatches, held_out_episodes
from parrot_models.training.transitions import Batch, load_transitions

NUM_EPISODES, NUM_STEPS, NUM_HELD_OUT = 9, 5, 2
FIRST_INDEX = 40


def tagged_episode(index: int) -> Episode:
    """An episode in which every array of a step says which episode and step it is."""
    steps = np.arange(NUM_STEPS + 1)
    images = np.zeros((NUM_STEPS + 1, 48, 48, 3), dtype=np.uint8)
    images[..., 0], images[..., 1] = index, steps[:, None, None]
    tags = np.stack((np.full(NUM_STEPS + 1, index), steps), -1).astype(np.float32)
    return Episode(
        index=index,
        task="pick",
        objects=("block",),
        container="",
        success=True,
        failure="",
        images=images,
        proprioception=np.pad(tags, ((0, 0), (0, 6))),
        actions=np.pad(tags[:-1] / 100.0, ((0, 0), (0, 5))),
        rewards=np.zeros(NUM_STEPS, dtype=np.float32),
        object_positions=np.zeros((NUM_STEPS + 1, 3, 3), dtype=np.float32),
    )


def write_dataset(folder: Path, num_episodes: int = NUM_EPISODES) -> Path:
    return write_shards(folder, [tagged_episode(FIRST_INDEX + i) for i in range(num_episodes)])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "shards #1?")


@pytest.fixture
def batches(data: Path, tmp_path: Path) -> TransitionBatches:
    return TransitionBatches(data, tmp_path / "cache", NUM_HELD_OUT / NUM_EPISODES)


def tags(batch: Batch) -> set[tuple[int, int]]:
    """(episode, step) of each row, once it is sure that all arrays of the row agree on them."""
    from_images = batch.images[:, 0, 0, :2].to(torch.int64)
    torch.testing.assert_close(batch.proprioception[:, :2].to(torch.int64), from_images)
    torch.testing.assert_close((batch.actions[:, :2] * 100).round().to(torch.int64), from_images)
    return {(int(index), int(step)) for index, step in from_images}


def seen_in_training(batches: TransitionBatches) -> set[tuple[int, int]]:
    return set().union(*(tags(batches.sample(32, generator(0, "test", i))) for i in range(40)))


def seen_held_out(batches: TransitionBatches) -> set[tuple[int, int]]:
    return set().union(*(tags(batch) for batch in batches.held_out(4)))


def test_an_action_stays_with_its_observation(batches: TransitionBatches) -> None:
    batch = batches.sample(64, generator(0, "test", 0))
    assert batch.images.shape == (64, 48, 48, 3)
    assert batch.images.dtype == torch.uint8
    assert batch.proprioception.shape == (64, 8)
    assert batch.actions.shape == (64, 7)
    assert batch.actions.dtype == batch.proprioception.dtype == torch.float32
    assert len(tags(batch)) > 10


def test_training_and_held_out_transitions_are_all_there_is_and_share_no_episode(batches) -> None:
    training, held_out = seen_in_training(batches), seen_held_out(batches)
    everything = {(FIRST_INDEX + i, step) for i in range(NUM_EPISODES) for step in range(NUM_STEPS)}
    assert training | held_out == everything
    assert {index for index, _ in held_out}.isdisjoint(index for index, _ in training)
    assert len({index for index, _ in held_out}) == NUM_HELD_OUT


def test_held_out_goes_once_through_its_transitions(batches) -> None:
    sizes = [len(batch.actions) for batch in batches.held_out(4)]
    assert sizes == [4, 4, 2]
    assert sum(sizes) == len(seen_held_out(batches))


def test_a_batch_is_a_function_of_seed_and_step(batches, data, tmp_path) -> None:
    resumed = TransitionBatches(data, tmp_path / "elsewhere", NUM_HELD_OUT / NUM_EPISODES)
    drawn = [batches.sample(32, generator(5, "test", step)) for step in range(3)]
    again = [resumed.sample(32, generator(5, "test", step)) for step in (2, 0, 1)]
    for step, batch in zip((2, 0, 1), again, strict=True):
        assert torch.equal(batch.images, drawn[step].images)
        assert torch.equal(batch.actions, drawn[step].actions)
    others = [
        batches.sample(32, generator(key[0], "test", key[1])) for key in ((5, 1), (6, 0), (0, 5))
    ]
    for other in others:
        assert not torch.equal(other.images, drawn[0].images)


def test_the_split_depends_on_contents_and_not_on_order() -> None:
    hashes = [hashlib.sha256(bytes([i])).hexdigest() for i in range(50)]
    held_out = {hashes[i] for i in held_out_episodes(hashes, 0.2)}
    assert len(held_out) == 10
    backwards = hashes[::-1]
    assert {backwards[i] for i in held_out_episodes(backwards, 0.2)} == held_out


@pytest.mark.parametrize("num", [2, 3, 10])
@pytest.mark.parametrize("fraction", [0.001, 0.5, 0.999])
def test_both_sides_of_the_split_have_an_episode(num, fraction) -> None:
    assert 1 <= len(held_out_episodes([str(i) for i in range(num)], fraction)) < num


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_fraction_that_is_none_is_refused(fraction) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        held_out_episodes(["a", "b"], fraction)


def decoded(data: Path, cache: Path) -> list[int]:
    """The progress of loading: empty when the cache was good."""
    calls: list[int] = []
    load_transitions(data, cache, lambda done, total, note: calls.append(done))
    return calls


def test_the_shards_are_decoded_once_and_again_when_they_change(data, tmp_path) -> None:
    cache = tmp_path / "cache"
    assert decoded(data, cache) == list(range(1, NUM_EPISODES + 1))
    assert decoded(data, cache) == []
    smaller = write_dataset(tmp_path / "smaller", 4)
    assert decoded(smaller, cache) == [1, 2, 3, 4]
    assert load_transitions(smaller, cache).images.shape == (4 * NUM_STEPS, 48, 48, 3)


def test_a_decoding_cut_short_starts_anew(data, tmp_path) -> None:
    def interrupt(done: int, total: int, note: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_transitions(data, tmp_path / "cache", interrupt)
    whole = load_transitions(data, tmp_path / "cache")
    assert sorted(set(whole.images[:, 0, 0, 0])) == list(
        range(FIRST_INDEX, FIRST_INDEX + NUM_EPISODES)
    )


@pytest.mark.parametrize("name", ["images", "proprioception", "actions", "episodes", "complete"])
@pytest.mark.parametrize("harm", ["flip", "empty", "remove"])
def test_a_damaged_cache_is_decoded_again_and_says_so(data, tmp_path, caplog, name, harm) -> None:
    cache = tmp_path / "cache"
    decoded(data, cache)
    whole = {path.name: path.read_bytes() for path in cache.iterdir()}
    path = cache / ("complete.json" if name == "complete" else f"{name}.npy")
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(b"" if harm == "empty" else whole[path.name][:-9] + b"x" * 9)
    assert decoded(data, cache) == list(range(1, NUM_EPISODES + 1))
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == whole
    said = 0 if (name, harm) == ("complete", "remove") else 1
    assert len([r for r in caplog.records if "decoded again" in r.getMessage()]) == said


def remove(shard: Path) -> None:
    shard.unlink()


def truncate(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-10240])


def flip_a_bit(shard: Path) -> None:
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


@pytest.mark.parametrize("damage", [remove, truncate, flip_a_bit])
def test_a_damaged_shard_is_named(data, tmp_path, damage) -> None:
    damage(data / "tar" / "shard-00001.tar")
    with pytest.raises(UserError, match=r"shard-00001\.tar"):
        TransitionBatches(data, tmp_path / "cache", 0.2)


def test_a_missing_manifest_is_named(data, tmp_path) -> None:
    (data / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"manifest\.json is missing"):
        TransitionBatches(data, tmp_path / "cache", 0.2)


def test_one_episode_cannot_be_split(tmp_path) -> None:
    data = write_dataset(tmp_path / "shards", 1)
    with pytest.raises(UserError, match="lists 1 episodes"):
        TransitionBatches(data, tmp_path / "cache", 0.2)


def test_a_manifest_of_other_episodes_is_refused(data, tmp_path) -> None:
    manifest = load_manifest(data, "shards")
    *entries, last = manifest.entries(data)
    write_entries(data / ENTRIES, [*entries, replace(last, index=7)])
    episodes = file_entry(data, data / ENTRIES)
    save_manifest(data, manifest.model_copy(update={"episodes": episodes}))
    with pytest.raises(UserError, match="from episode 7 on"):
        TransitionBatches(data, tmp_path / "cache", 0.2)
