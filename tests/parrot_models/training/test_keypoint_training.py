"""Keypoints follow from data, seed and params, whatever is trained beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_shards import write_made_up

from parrot_data.progress import silent
from parrot_models.networks.keypoints import Keypoints
from parrot_models.training import keypoint_training
from parrot_models.training.augment import augmentation_of
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.keypoint_training import fit_keypoints
from parrot_models.training.params import (
    Memmap,
    NoKeypoints,
    ReconstructedKeypoints,
    TrainingParams,
)
from tests.specs import spec_of

SPEC = spec_of(images={"front": (9, 12), "wrist": (8, 8)}, vectors={"pose": 3})
PARAMS = ReconstructedKeypoints(
    kind="reconstruction", num_keypoints=4, width=4, foreground_weight=30.0, steps=6, batch_size=8,
    learning_rate=2e-3,
)  # fmt: skip
BESIDE = TrainingParams(
    seed=0, source=Memmap(kind="memmap"),
    held_out_fraction=0.4, augment=["colors"], observation_noise=0.0, precision="fp32",
    gradient_clip=1.0, log_every=4, checkpoint_every=2, steps=10, batch_size=4,
    learning_rate=1e-3,
)  # fmt: skip


@pytest.fixture
def batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransitionBatches:
    monkeypatch.setattr(keypoint_training, "NUM_INIT", 16)
    return TransitionBatches(
        write_made_up(tmp_path / "shards", SPEC), tmp_path / "cache", BESIDE.held_out_fraction
    )


def fitted(
    batches: TransitionBatches,
    work: Path,
    params: ReconstructedKeypoints = PARAMS,
    **changes: object,
) -> dict[str, torch.Tensor]:
    work.mkdir()
    keypoints = Keypoints(SPEC.images, PARAMS.num_keypoints, PARAMS.width)
    beside = BESIDE.model_copy(update=changes)
    augmentation = augmentation_of(beside.augment, SPEC, "train_prior")
    fit_keypoints(params, beside, keypoints, augmentation, batches, work, silent)
    return keypoints.state_dict()


def test_they_do_not_depend_on_what_stands_beside_them(batches, tmp_path) -> None:
    torch.manual_seed(1)
    one = fitted(batches, tmp_path / "one")
    torch.manual_seed(2)
    other = fitted(batches, tmp_path / "other", steps=99, learning_rate=1.0, batch_size=2)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_seed_makes_others(batches, tmp_path) -> None:
    one, other = fitted(batches, tmp_path / "one"), fitted(batches, tmp_path / "other", seed=1)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_torch_s_own_numbers_go_on_as_if_they_were_not_trained(batches, tmp_path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    keypoints = Keypoints(SPEC.images, PARAMS.num_keypoints, PARAMS.width)
    augmentation = augmentation_of([], SPEC, "train_prior")
    torch.manual_seed(3)
    fit_keypoints(PARAMS, BESIDE, keypoints, augmentation, batches, tmp_path, silent)
    assert torch.equal(torch.rand(3), expected)


def test_every_image_s_encoder_learns(batches, tmp_path) -> None:
    still = fitted(batches, tmp_path / "still", PARAMS.model_copy(update={"learning_rate": 1e-30}))
    after = fitted(batches, tmp_path / "work")
    for name in SPEC.images:
        learned = [key for key in after if key.startswith(f"encoders.of_{name}.maps")]
        assert learned
        assert all(not torch.equal(still[key], after[key]) for key in learned)


def test_none_are_none(batches, tmp_path) -> None:
    augmentation = augmentation_of([], SPEC, "train_prior")
    fit_keypoints(NoKeypoints(kind="none"), BESIDE, None, augmentation, batches, tmp_path, silent)
    assert not list(tmp_path.glob("*.checkpoint"))
