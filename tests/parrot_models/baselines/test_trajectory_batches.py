"""Trajectories tile episodes, keep to one, and never show what is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_shards import write_shards

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_models.baselines.trajectories_model import path_of
from parrot_models.baselines.trajectory_batches import TrajectoryBatches
from parrot_models.training.augment import augment
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.transitions import Batch

NUM_EPISODES, NUM_STEPS, HELD_OUT_FRACTION = 8, 6, 0.3


def tagged_episode(index: int, num_steps: int = NUM_STEPS) -> Episode:
    """An episode in which picture, proprioception and action say which episode and step it is."""
    steps = np.arange(num_steps + 1)
    images = np.zeros((num_steps + 1, 48, 48, 3), dtype=np.uint8)
    images[..., 0], images[..., 1] = index, steps[:, None, None]
    tags = np.stack((np.full(num_steps + 1, index), steps), -1).astype(np.float32)
    return Episode(
        index=index,
        task="pick",
        objects=("block",),
        container="",
        success=True,
        failure="",
        images=images,
        proprioception=np.pad(tags, ((0, 0), (0, 6))),
        actions=np.pad(tags[:-1], ((0, 0), (0, 5))),
        rewards=np.zeros(num_steps, dtype=np.float32),
        object_positions=np.zeros((num_steps + 1, 3, 3), dtype=np.float32),
    )


@pytest.fixture
def batches(tmp_path: Path) -> TransitionBatches:
    data = write_shards(tmp_path / "shards", [tagged_episode(i) for i in range(NUM_EPISODES)])
    return TransitionBatches(data, tmp_path / "cache", HELD_OUT_FRACTION)


def held_out_episodes(batches: TransitionBatches) -> set[int]:
    return set(batches.transitions.episodes[batches.held_out_rows].tolist())


def assert_begins_as_seen(batch: Batch) -> None:
    """Picture and proprioception are those of the step of the first action."""
    first = batch.actions[:, 0, :2]
    assert torch.equal(batch.proprioception[:, :2], first)
    assert torch.equal(batch.images[:, 0, 0, :2].float(), first)


@pytest.mark.parametrize("num_steps", [1, 2, 3, NUM_STEPS])
def test_chunks_tile_the_held_out_episodes(batches: TransitionBatches, num_steps: int) -> None:
    parts = list(TrajectoryBatches(batches, num_steps).held_out(4))
    assert all(part.actions.shape[1:] == (num_steps, 7) for part in parts)
    for part in parts:
        assert_begins_as_seen(part)
    tiled = torch.cat([part.actions for part in parts]).flatten(0, 1)
    rows = batches.held_out_rows
    assert torch.equal(tiled, torch.from_numpy(batches.transitions.actions[rows]))


@pytest.mark.parametrize("num_steps", [2, NUM_STEPS])
def test_a_sample_is_consecutive_steps_of_one_training_episode(
    batches: TransitionBatches, num_steps: int
) -> None:
    batch = TrajectoryBatches(batches, num_steps).sample(200, np.random.default_rng(0))
    assert_begins_as_seen(batch)
    episode, step = batch.actions[..., 0], batch.actions[..., 1]
    assert torch.equal(episode, episode[:, :1].expand_as(episode))
    assert torch.equal(step, step[:, :1] + torch.arange(num_steps))
    assert set(step[:, 0].tolist()) == set(range(NUM_STEPS - num_steps + 1))
    trained = set(range(NUM_EPISODES)) - held_out_episodes(batches)
    assert set(episode[:, 0].int().tolist()) == trained


def test_what_mirrors_actions_mirrors_their_path(batches: TransitionBatches) -> None:
    batch = TrajectoryBatches(batches, NUM_STEPS).sample(8, np.random.default_rng(0))
    mirrored = augment(batch, np.random.default_rng(1))
    path, reflected = path_of(batch.actions), path_of(mirrored.actions)
    assert torch.equal(reflected[:4], path[:4] * torch.tensor([1.0, -1.0, 1.0]))
    assert torch.equal(reflected[4:], path[4:])
    assert bool(path[:4, :, 1].any())


def test_chunks_that_do_not_tile_are_named(batches: TransitionBatches) -> None:
    with pytest.raises(UserError, match=r"trajectories of 4 steps .* of 6 steps.*chunk_steps"):
        TrajectoryBatches(batches, 4)


def test_episodes_of_two_lengths_are_named(tmp_path: Path) -> None:
    lengths = [4] * 4 + [6] * 4
    episodes = [tagged_episode(i, length) for i, length in enumerate(lengths)]
    data = write_shards(tmp_path / "shards", episodes)
    with pytest.raises(UserError, match="4, 6 steps"):
        TrajectoryBatches(TransitionBatches(data, tmp_path / "cache", 0.3), 2)
