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
from tests.specs import spec_of

LENGTHS = (5, 1, 9, 3, 2, 5, 4, 1, 12)
NUM_EPISODES, NUM_HELD_OUT = len(LENGTHS), 2
FIRST_INDEX = 40
SPEC = spec_of(
    images={"front": (6, 9), "wrist": (8, 8)}, vectors={"actions": 2, "pose": 5}, action_dim=3
)


def tagged_episode(index: int, num_steps: int) -> Episode:
    """An episode in which every array of a step says which episode and step it is."""
    steps = np.arange(num_steps + 1)
    tags = np.stack((np.full(num_steps + 1, index), steps), -1)
    images = {
        name: np.zeros((num_steps + 1, *image.shape), dtype=np.uint8)
        for name, image in SPEC.images.items()
    }
    for image in images.values():
        image[..., :2] = tags[:, None, None]
    vectors = {
        name: np.pad(tags.astype(np.float32), ((0, 0), (0, dim - 2)))
        for name, dim in SPEC.vectors.items()
    }
    return Episode(
        index=index,
        task="pick",
        success=True,
        failure="",
        terminated=False,
        observations={**images, **vectors},
        actions=np.pad(tags[:-1].astype(np.float32) / 100.0, ((0, 0), (0, 1))),
        rewards=np.zeros(num_steps, dtype=np.float32),
    )


def write_dataset(folder: Path, num_episodes: int = NUM_EPISODES) -> Path:
    episodes = [tagged_episode(FIRST_INDEX + i, LENGTHS[i]) for i in range(num_episodes)]
    return write_shards(folder, episodes, SPEC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "shards #1?")


@pytest.fixture
def batches(data: Path, tmp_path: Path) -> TransitionBatches:
    return TransitionBatches(data, tmp_path / "cache", NUM_HELD_OUT / NUM_EPISODES)


def tags(batch: Batch) -> set[tuple[int, int]]:
    """(episode, step) of each row, once it is sure that all arrays of the row agree on them."""
    found = (batch.actions[:, :2] * 100).round().to(torch.int64)
    for name in SPEC.images:
        torch.testing.assert_close(batch.observations[name][:, 0, 0, :2].to(torch.int64), found)
    for name in SPEC.vectors:
        torch.testing.assert_close(batch.observations[name][:, :2].to(torch.int64), found)
    return {(int(index), int(step)) for index, step in found}


def seen_in_training(batches: TransitionBatches) -> set[tuple[int, int]]:
    return set().union(*(tags(batches.sample(32, generator(0, "test", i))) for i in range(40)))


def seen_held_out(batches: TransitionBatches) -> set[tuple[int, int]]:
    return set().union(*(tags(batch) for batch in batches.held_out(4)))


def test_an_action_stays_with_its_observation(batches: TransitionBatches) -> None:
    batch = batches.sample(64, generator(0, "test", 0))
    for name, each in SPEC.observations.items():
        assert batch.observations[name].shape == (64, *each.shape)
        assert batch.observations[name].numpy().dtype == each.dtype
    assert batch.actions.shape == (64, 3)
    assert batch.actions.dtype == torch.float32
    assert len(tags(batch)) > 10


def test_training_and_held_out_transitions_are_all_there_is_and_share_no_episode(batches) -> None:
    training, held_out = seen_in_training(batches), seen_held_out(batches)
    everything = {
        (FIRST_INDEX + i, step) for i in range(NUM_EPISODES) for step in range(LENGTHS[i])
    }
    assert training | held_out == everything
    assert {index for index, _ in held_out}.isdisjoint(index for index, _ in training)
    assert len({index for index, _ in held_out}) == NUM_HELD_OUT


def test_held_out_goes_once_through_its_transitions(batches) -> None:
    sizes = [len(batch.actions) for batch in batches.held_out(4)]
    assert set(sizes[:-1]) <= {4}
    assert sum(sizes) == len(seen_held_out(batches)) == len(batches.held_out_rows)


def test_batches_say_what_their_data_are(batches) -> None:
    assert batches.spec == SPEC
    assert len(batches.statistics.action.mean) == 3
    assert batches.statistics.vectors.keys() == SPEC.vectors.keys()


def test_images_alone_are_those_of_the_same_transitions(batches) -> None:
    whole = batches.sample(16, generator(0, "test", 0))
    images = batches.share_images(0, 16, generator(0, "test", 0))
    assert images.keys() == SPEC.images.keys()
    for name, values in images.items():
        assert torch.equal(values, whole.observations[name])


def test_a_batch_is_a_function_of_seed_and_step(batches, data, tmp_path) -> None:
    resumed = TransitionBatches(data, tmp_path / "elsewhere", NUM_HELD_OUT / NUM_EPISODES)
    drawn = [batches.sample(32, generator(5, "test", step)) for step in range(3)]
    again = [resumed.sample(32, generator(5, "test", step)) for step in (2, 0, 1)]
    for step, batch in zip((2, 0, 1), again, strict=True):
        assert torch.equal(batch.observations["front"], drawn[step].observations["front"])
        assert torch.equal(batch.actions, drawn[step].actions)
    others = [
        batches.sample(32, generator(key[0], "test", key[1])) for key in ((5, 1), (6, 0), (0, 5))
    ]
    for other in others:
        assert not torch.equal(other.actions, drawn[0].actions)


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
    assert len(load_transitions(smaller, cache).actions) == sum(LENGTHS[:4])


def test_a_decoding_cut_short_starts_anew(data, tmp_path) -> None:
    def interrupt(done: int, total: int, note: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_transitions(data, tmp_path / "cache", interrupt)
    whole = load_transitions(data, tmp_path / "cache")
    assert sorted(set(whole.observations["front"][:, 0, 0, 0])) == list(
        range(FIRST_INDEX, FIRST_INDEX + NUM_EPISODES)
    )


@pytest.mark.parametrize(
    "name", ["observation.front", "observation.actions", "actions", "episodes", "complete"]
)
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
    shard.write_bytes(shard.read_bytes()[:-40])


def flip_a_bit(shard: Path) -> None:
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


@pytest.mark.parametrize("damage", [remove, truncate, flip_a_bit])
def test_a_damaged_shard_is_named(data, tmp_path, damage) -> None:
    shard = sorted(data.glob("episodes.zarr/observations/front/c/*/0/0/0"))[-1]
    damage(shard)
    with pytest.raises(UserError, match=rf"{shard.relative_to(data)} (is missing|has|was altered)"):
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
