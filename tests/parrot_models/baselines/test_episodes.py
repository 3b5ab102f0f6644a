"""Batches keep to their episodes, say which steps there are, and never show what is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from some_shards import tagged_episode, write_zarr_shards

from parrot_data.episodes.spec import EpisodeSpec
from parrot_models.baselines import episodes
from parrot_models.baselines.episodes import (
    EpisodeBatches,
    TrajectoryBatch,
    TrajectoryBatches,
    augment_episodes,
)
from parrot_models.baselines.trajectories_model import path_of
from parrot_models.training.augment import augmentation_of
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.transitions import Batch
from tests.specs import spec_of

LENGTHS = (6, 6, 1, 9, 5, 13, 2, 6, 80)
SPEC = spec_of(
    images={"front": (9, 12), "wrist": (8, 8)}, vectors={"state": 4, "goal": 2}, action_dim=3,
    bounds=(-100.0, 100.0), has_mirror=True,
)  # fmt: skip


def batches_of(
    folder: Path, spec: EpisodeSpec = SPEC, lengths: tuple[int, ...] = LENGTHS
) -> TransitionBatches:
    tagged = [tagged_episode(i, spec, steps) for i, steps in enumerate(lengths)]
    data = write_zarr_shards(folder / "shards", spec, tagged)
    return TransitionBatches(data, folder / "cache", 0.4)


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> TransitionBatches:
    return batches_of(tmp_path_factory.mktemp("tagged"))


def held_out_episodes(batches: TransitionBatches) -> set[int]:
    return set(batches.transitions.episodes[batches.held_out_rows].tolist())


def assert_begins_as_seen(batch: TrajectoryBatch) -> None:
    """All that is observed is of the step of the first action."""
    first = batch.actions[:, 0, :2]
    assert torch.equal(batch.observations["state"][:, :2], first)
    assert torch.equal(batch.observations["goal"], first)
    for name in SPEC.images:
        assert torch.equal(batch.observations[name][:, 0, 0, :2].float(), first)


@pytest.mark.parametrize("num_steps", [1, 2, 3, 6, 100])
def test_chunks_tile_the_held_out_episodes(batches: TransitionBatches, num_steps: int) -> None:
    parts = list(TrajectoryBatches(batches, num_steps).held_out(4))
    for part in parts:
        assert part.actions.shape[1:] == (num_steps, 3)
        assert part.is_step.shape == part.actions.shape[:2]
        assert_begins_as_seen(part)
        assert not part.actions[~part.is_step].any()
        assert bool((part.is_step[:, :-1] >= part.is_step[:, 1:]).all())
    tiled = torch.cat([part.actions[part.is_step] for part in parts])
    rows = batches.held_out_rows
    assert torch.equal(tiled, torch.from_numpy(batches.transitions.actions[rows]))


@pytest.mark.parametrize("num_steps", [2, 4, 100])
def test_a_sample_is_consecutive_steps_of_one_training_episode(
    batches: TransitionBatches, num_steps: int
) -> None:
    batch = TrajectoryBatches(batches, num_steps).sample(3000, np.random.default_rng(0))
    assert_begins_as_seen(batch)
    trained = set(range(len(LENGTHS))) - held_out_episodes(batches)
    begins = set()
    for actions, is_step in zip(batch.actions, batch.is_step, strict=True):
        index, first = int(actions[0, 0]), int(actions[0, 1])
        there = actions[is_step]
        assert len(there) == min(num_steps, LENGTHS[index] - first)
        assert there[:, 0].tolist() == [index] * len(there)
        assert there[:, 1].tolist() == list(range(first, first + len(there)))
        begins.add((index, first))
    # From every step, but none beyond the last of those at which an agent decides.
    assert begins == {
        (index, first)
        for index in trained
        for first in range((LENGTHS[index] - 1) // num_steps * num_steps + 1)
    }


def test_what_mirrors_actions_mirrors_their_path(batches: TransitionBatches) -> None:
    batch = TrajectoryBatches(batches, 6).sample(8, np.random.default_rng(0))
    augmentation = augmentation_of(["mirror"], SPEC, "pretrain.trajectories")
    mirrored = augmentation(batch.first, np.random.default_rng(1))
    path, reflected = path_of(batch.actions), path_of(mirrored.actions)
    assert SPEC.mirror is not None
    assert torch.equal(reflected[:4], path[:4] * torch.tensor(SPEC.mirror.action))
    assert torch.equal(reflected[4:], path[4:])
    assert bool(path[:4, :, 1].any())


def test_what_is_seen_is_of_its_episode_and_step(batches: TransitionBatches) -> None:
    held_out = held_out_episodes(batches)
    batch = EpisodeBatches(batches).sample(64, 3, np.random.default_rng(0))
    assert batch.steps.shape == (64, 3)
    indices = batch.actions[:, 0, 0].int().tolist()
    assert set(indices) == set(range(len(LENGTHS))) - held_out
    lengths = torch.tensor([LENGTHS[index] for index in indices])
    assert torch.equal(batch.is_step.sum(1), lengths)
    assert torch.equal(batch.is_seen.sum(1), lengths.clamp_max(3))
    for row, (index, length) in enumerate(zip(indices, lengths.tolist(), strict=True)):
        tags = torch.tensor([[index, step] for step in range(length)])
        for values in (batch.actions, *batch.vectors.values()):
            assert torch.equal(values[row, :length, :2].int(), tags)
            assert not values[row, length:].any()
        seen = batch.steps[row][batch.is_seen[row]]
        assert bool((seen.diff() > 0).all())
        assert int(seen.max()) < length
        for images in batch.images.values():
            tagged = images[row, batch.is_seen[row], 0, 0]
            assert tagged[:, 0].tolist() == [index] * len(seen)
            assert torch.equal(tagged[:, 1], seen.byte())


def test_rows_of_what_is_seen_go_together(batches: TransitionBatches) -> None:
    batch = EpisodeBatches(batches).sample(32, 4, np.random.default_rng(0))
    seen, is_seen = batch.seen(), batch.is_seen.flatten()
    assert set(seen) == set(SPEC.observations)
    tags = batch.at_steps(batch.actions)[is_seen, :2]
    assert torch.equal(seen["state"][is_seen, :2], tags)
    assert torch.equal(seen["front"][is_seen, 0, 0, :2].float(), tags)
    assert torch.equal(batch.weights() > 0, is_seen)
    assert float(batch.weights().sum()) == pytest.approx(float(batch.is_step.sum()))
    of_episodes = batch.weights().view(32, -1).sum(1)
    torch.testing.assert_close(of_episodes, batch.is_step.sum(1).float())


def test_each_step_is_seen_as_often_as_another(batches: TransitionBatches) -> None:
    batch = EpisodeBatches(batches).sample(4000, 2, np.random.default_rng(0))
    of_six = batch.is_step.sum(1) == 6
    counts = torch.bincount(batch.steps[of_six].flatten(), minlength=6).double()
    share = counts / counts.sum()
    assert float((share - 1 / 6).abs().max()) < 5 * (1 / 6 / float(counts.sum())) ** 0.5


@pytest.mark.parametrize("most_seen", [1, 15, 1024])
def test_held_out_episodes_are_seen_whole_and_once(
    batches: TransitionBatches, monkeypatch: pytest.MonkeyPatch, most_seen: int
) -> None:
    monkeypatch.setattr(episodes, "MOST_SEEN", most_seen)
    parts = list(EpisodeBatches(batches).held_out(2))
    for part in parts:
        assert torch.equal(part.is_seen, part.is_step)
        assert len(part.actions) == 1 or part.is_step.numel() <= most_seen
        assert len(part.actions) <= 2
    actions = torch.cat([part.actions[part.is_step] for part in parts])
    rows = batches.held_out_rows
    assert torch.equal(actions, torch.from_numpy(batches.transitions.actions[rows]))


def test_every_step_of_vectors_alone_is_seen(tmp_path: Path) -> None:
    spec = spec_of(vectors={"state": 4}, action_dim=2, bounds=None)
    batch = EpisodeBatches(batches_of(tmp_path, spec)).sample(9, 3, np.random.default_rng(0))
    assert batch.images == {}
    assert torch.equal(batch.is_seen, batch.is_step)


def test_episodes_are_augmented_as_their_transitions_are(tmp_path: Path) -> None:
    batches = batches_of(tmp_path, lengths=(6,) * 8)
    batch = EpisodeBatches(batches).sample(4, 6, np.random.default_rng(0))
    flat = Batch(batch.seen(), batch.actions.flatten(0, 1))
    augmentation = augmentation_of(["mirror", "colors"], SPEC, "pretrain.options")
    augmentation = augmentation.informed_by(flat.observations)
    expected = augmentation(flat, np.random.default_rng(1))
    augmented = augment_episodes(batch, augmentation, np.random.default_rng(1))
    seen = augmented.seen()
    for name in SPEC.observations:
        assert torch.equal(seen[name], expected.observations[name])
    assert torch.equal(augmented.actions.flatten(0, 1), expected.actions)
    assert torch.equal(augmented.steps, batch.steps)


def test_nothing_is_augmented_where_nothing_is_asked_for(batches: TransitionBatches) -> None:
    batch = EpisodeBatches(batches).sample(4, 3, np.random.default_rng(0))
    none = augmentation_of([], SPEC, "pretrain.options")
    same = augment_episodes(batch, none, np.random.default_rng(1))
    assert torch.equal(same.actions, batch.actions)
    for name, values in same.seen().items():
        assert torch.equal(values, batch.seen()[name])
