"""What is done to the picture is done to the action."""

from __future__ import annotations

import numpy as np
import torch

from parrot_models.training.augment import (
    NUM_TINTS,
    augment,
    backdrop_of,
    mirror,
    paint,
    shuffle_colors,
)
from parrot_models.training.transitions import Batch


def some_batch(size: int = 16) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        images=torch.randint(0, 256, (size, 8, 8, 3), dtype=torch.uint8, generator=generator),
        proprioception=torch.randn(size, 8, generator=generator),
        actions=torch.randn(size, 7, generator=generator),
    )


def test_mirroring_twice_changes_nothing() -> None:
    batch = some_batch()
    again = mirror(mirror(batch))
    assert torch.equal(again.images, batch.images)
    assert torch.equal(again.actions, batch.actions)
    assert torch.equal(again.proprioception, batch.proprioception)


def test_a_mirrored_picture_goes_with_a_mirrored_action() -> None:
    batch = some_batch()
    mirrored = mirror(batch)
    assert torch.equal(mirrored.images, batch.images.flip(2))
    assert torch.equal(mirrored.actions[:, 1], -batch.actions[:, 1])
    assert torch.equal(mirrored.actions[:, 0], batch.actions[:, 0])


def test_shuffled_colors_keep_every_pixel_s_three_values() -> None:
    images = some_batch().images
    shuffled = shuffle_colors(images, np.random.default_rng(0))
    assert torch.equal(shuffled.sort(-1).values, images.sort(-1).values)
    assert not torch.equal(shuffled, images)


def test_augmentation_is_a_function_of_its_generator() -> None:
    batch = some_batch()
    backdrop = backdrop_of(batch.images)
    one, two, other = (augment(batch, np.random.default_rng(seed), backdrop) for seed in (1, 1, 2))
    assert torch.equal(one.images, two.images)
    assert not torch.equal(one.images, other.images)


def test_colors_of_grey_pixels_do_not_change() -> None:
    grey = torch.full((16, 4, 4, 3), 99, dtype=torch.uint8)
    assert torch.equal(shuffle_colors(grey, np.random.default_rng(0)), grey)


def test_paint_leaves_the_backdrop_bare() -> None:
    backdrop = torch.randint(0, 256, (8, 8, 3)).float()
    bare = backdrop.to(torch.uint8).expand(20, -1, -1, -1)
    assert torch.equal(paint(bare, backdrop, np.random.default_rng(0)), bare)


def test_what_stands_before_the_backdrop_is_tinted_alike_all_over() -> None:
    backdrop = torch.full((4, 4, 3), 128.0)
    images = torch.full((NUM_TINTS, 4, 4, 3), 128, dtype=torch.uint8)
    images[:, 1:3, 1:3] += 40
    difference = paint(images, backdrop, np.random.default_rng(0)).float() - backdrop
    assert difference[:, 0].abs().max() == 0.0
    of_picture = difference[:, 1:3, 1:3].flatten(1, 2)
    assert torch.equal(of_picture, of_picture[:, :1].expand_as(of_picture))
    assert len({tuple(row.tolist()) for row in of_picture[:, 0]}) == NUM_TINTS
    assert (of_picture < 0).any()
    assert (of_picture > 0).any()
