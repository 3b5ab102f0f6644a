"""What is done to the images is done to vectors and actions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parrot_data.errors import UserError
from parrot_models.training.augment import (
    NUM_TINTS,
    Augmentation,
    augmentation_of,
    backdrop_of,
    paint,
    shuffle_colors,
)
from parrot_models.training.transitions import Batch
from tests.specs import (
    TABLETOP_LIKE,
    TWO_IMAGES,
    VECTORS_ALONE,
    some_actions,
    some_observations,
    spec_of,
)

MIRRORED = spec_of(
    images={"front": (8, 10), "wrist": (6, 6)}, vectors={"joints": 3}, has_mirror=True
)


def some_batch(size: int = 16) -> Batch:
    return Batch(some_observations(MIRRORED, size), some_actions(MIRRORED, size))


def augmented(names: list[str]) -> Augmentation:
    return augmentation_of(names, MIRRORED, "train_prior")


def test_mirroring_twice_changes_nothing() -> None:
    batch, augmentation = some_batch(), augmented(["mirror"])
    again = augmentation(augmentation(batch, np.random.default_rng(0)), np.random.default_rng(0))
    for name, values in batch.observations.items():
        assert torch.equal(again.observations[name], values)
    assert torch.equal(again.actions, batch.actions)


def test_half_of_a_batch_is_mirrored_and_the_other_is_as_it_was() -> None:
    batch = some_batch()
    mirrored = augmented(["mirror"])(batch, np.random.default_rng(0))
    for name in MIRRORED.images:
        images, its = batch.observations[name], mirrored.observations[name]
        assert torch.equal(its[:8], images[:8].flip(2))
        assert torch.equal(its[8:], images[8:])
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert torch.equal(mirrored.actions[:8], batch.actions[:8] * signs)
    assert torch.equal(mirrored.actions[8:], batch.actions[8:])
    joints, its = batch.observations["joints"], mirrored.observations["joints"]
    assert torch.equal(its[:8], joints[:8] * signs[:3])
    assert torch.equal(its[8:], joints[8:])


def test_further_dimensions_are_augmented_as_rows_are() -> None:
    """Chunks of actions (B, K, A), and episodes of images (B, M, H, W, 3)."""
    batch, augmentation = some_batch(), augmented(["mirror", "colors"])
    expected = augmentation.mirrored(batch.observations)
    actions = batch.actions[:, None].repeat(1, 5, 1)
    of_chunks = augmentation.mirrored_actions(actions)
    for step in range(5):
        assert torch.equal(of_chunks[:, step], augmentation.mirrored_actions(batch.actions))
    longer = {name: values[:, None].repeat_interleave(3, 1) for name, values in
              batch.observations.items()}  # fmt: skip
    found = augmentation.mirrored(longer)
    for name, values in expected.items():
        assert torch.equal(found[name][:, 2], values)
    colored = augmentation.informed_by(batch.observations).colored(longer, np.random.default_rng(0))
    for name in MIRRORED.images:
        assert colored[name].shape == longer[name].shape
        assert not torch.equal(colored[name], longer[name])
    assert torch.equal(colored["joints"], longer["joints"])


def test_nothing_named_is_nothing_done() -> None:
    batch = some_batch()
    same = augmented([]).informed_by(batch.observations)(batch, np.random.default_rng(0))
    for name, values in batch.observations.items():
        assert torch.equal(same.observations[name], values)
    assert torch.equal(same.actions, batch.actions)


def test_noise_is_as_wide_as_it_says_on_vectors_and_touches_nothing_else() -> None:
    size, noise = 4096, 0.2
    batch = some_batch(size)
    still = {**batch.observations, "joints": torch.full_like(batch.observations["joints"], 0.5)}
    for observations in (batch.observations, still):
        augmentation = augmentation_of([], MIRRORED, "train_prior", noise).informed_by(observations)
        noisy = augmentation(Batch(observations, batch.actions), np.random.default_rng(0))
        added = noisy.observations["joints"] - observations["joints"]
        spread = observations["joints"].std(0, correction=0)
        torch.testing.assert_close(added.std(0), noise * spread, rtol=0.05, atol=1e-6)
        torch.testing.assert_close(added.mean(0), torch.zeros_like(spread), rtol=0, atol=0.02)
        assert torch.equal(noisy.actions, batch.actions)
        for name in MIRRORED.images:
            assert torch.equal(noisy.observations[name], observations[name])


@pytest.mark.parametrize(
    ("names", "spec", "sentence"),
    [
        (["mirror"], TWO_IMAGES, r"bc\.augment names mirror.*mirror.*: take mirror out"),
        (["colors"], VECTORS_ALONE, r"bc\.augment names colors.*no images: take colors out"),
        (["mirror", "colors"], VECTORS_ALONE, r"bc\.augment names mirror"),
    ],
)
def test_what_a_spec_lacks_is_said_in_one_sentence(names, spec, sentence) -> None:
    with pytest.raises(UserError, match=sentence):
        augmentation_of(names, spec, "pretrain.bc")


def test_the_tabletop_can_have_both() -> None:
    augmentation_of(["mirror", "colors"], TABLETOP_LIKE, "train_prior")


def test_augmentation_is_a_function_of_its_generator() -> None:
    batch = some_batch()
    augmentation = augmented(["mirror", "colors"]).informed_by(batch.observations)
    one, two, other = (augmentation(batch, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for name in MIRRORED.images:
        assert torch.equal(one.observations[name], two.observations[name])
        assert not torch.equal(one.observations[name], other.observations[name])


def test_each_image_has_a_backdrop_of_its_own() -> None:
    batch = some_batch()
    painting = augmented(["colors"]).informed_by(batch.observations)
    for name, image in MIRRORED.images.items():
        assert torch.equal(painting.backdrops[name], backdrop_of(batch.observations[name]))
        assert painting.backdrops[name].shape == image.shape


def test_shuffled_colors_keep_every_pixel_s_three_values() -> None:
    images = some_batch().observations["front"]
    shuffled = shuffle_colors(images, np.random.default_rng(0))
    assert torch.equal(shuffled.sort(-1).values, images.sort(-1).values)
    assert not torch.equal(shuffled, images)


def test_colors_of_grey_pixels_do_not_change() -> None:
    grey = torch.full((16, 4, 4, 3), 99, dtype=torch.uint8)
    assert torch.equal(shuffle_colors(grey, np.random.default_rng(0)), grey)


def test_paint_leaves_the_backdrop_bare() -> None:
    backdrop = torch.randint(0, 256, (8, 5, 3)).float()
    bare = backdrop.to(torch.uint8).expand(20, -1, -1, -1)
    assert torch.equal(paint(bare, backdrop, np.random.default_rng(0)), bare)


def test_what_stands_before_the_backdrop_is_tinted_alike_all_over() -> None:
    backdrop = torch.full((4, 4, 3), 128.0)
    images = torch.full((NUM_TINTS, 4, 4, 3), 128, dtype=torch.uint8)
    images[:, 1:3, 1:3] += 40
    difference = paint(images, backdrop, np.random.default_rng(0)).float() - backdrop
    assert difference[:, 0].abs().max() == 0.0
    of_image = difference[:, 1:3, 1:3].flatten(1, 2)
    assert torch.equal(of_image, of_image[:, :1].expand_as(of_image))
    assert len({tuple(row.tolist()) for row in of_image[:, 0]}) == NUM_TINTS
    assert (of_image < 0).any()
    assert (of_image > 0).any()
