from __future__ import annotations

import pytest
import torch

from parrot_data.episodes.spec import ImageSpec
from parrot_data.errors import UserError
from parrot_models.networks.image_encoder import (
    ENCODERS,
    ImageEncoder,
    make_image_encoder,
    scale_images,
)

IMAGE = ImageSpec(height=48, width=48)
SIZES = [IMAGE, ImageSpec(height=8, width=8), ImageSpec(height=31, width=90)]


def random_images(num: int, image: ImageSpec = IMAGE) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (num, *image.shape), dtype=torch.uint8, generator=generator)


def encoder_of(name: str, image: ImageSpec = IMAGE) -> ImageEncoder:
    torch.manual_seed(0)
    return make_image_encoder(name, image, 32)


def test_scaling_maps_bytes_onto_one_unit_around_zero_with_channels_first() -> None:
    images = torch.zeros(2, 4, 6, 3, dtype=torch.uint8)
    images[1, 3, 5, 2] = 255
    pixels = scale_images(images)
    assert pixels.shape == (2, 3, 4, 6)
    assert pixels.dtype == torch.float32
    assert pixels[1, 2, 3, 5] == 0.5
    assert (pixels == -0.5).sum() == pixels.numel() - 1
    assert (images.sum(dtype=torch.int64)) == 255


def test_scaling_inverts_to_the_same_bytes() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(-1, -1, -1, 3)
    pixels = scale_images(images, torch.float64)
    back = ((pixels + 0.5) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    assert torch.equal(back, images)


def test_scaling_keeps_channels_last_memory() -> None:
    assert scale_images(random_images(2)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 48, 48, 3),
        torch.zeros(1, 3, 48, 48, dtype=torch.uint8),
        torch.zeros(48, 48, 3, dtype=torch.uint8),
    ],
    ids=["floats", "channels first", "no batch"],
)
def test_what_is_not_a_batch_of_images_is_refused(images) -> None:
    with pytest.raises(ValueError, match="images must be uint8"):
        scale_images(images)


@pytest.mark.parametrize("image", SIZES, ids=str)
@pytest.mark.parametrize("name", ENCODERS)
def test_features_have_the_promised_width_and_belong_to_their_row(name, image) -> None:
    encoder = encoder_of(name, image).double()
    images = random_images(5, image)
    features = encoder(images)
    assert features.shape == (5, encoder.feature_dim) == (5, 32)
    assert features.dtype == torch.float64
    torch.testing.assert_close(encoder(images.flip(0)).flip(0), features)
    torch.testing.assert_close(encoder(images[2:3])[0], features[2])


@pytest.mark.parametrize("name", ENCODERS)
def test_every_region_of_the_image_can_change_the_features(name) -> None:
    encoder = encoder_of(name)
    black = torch.zeros(1, *IMAGE.shape, dtype=torch.uint8)
    base = encoder(black)
    for row in range(0, 44, 11):
        for column in range(0, 44, 11):
            touched = black.clone()
            touched[:, row : row + 11, column : column + 11] = 255
            assert not torch.allclose(encoder(touched), base)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_parameter_learns(name) -> None:
    encoder = encoder_of(name)
    encoder(random_images(4)).square().sum().backward()
    for parameter_name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().max() > 0.0, parameter_name


def test_the_papers_encoder_has_the_papers_layers() -> None:
    weights = [p.shape for p in make_image_encoder("paper", IMAGE, 256).parameters() if p.ndim > 1]
    convolutions = [(16, 3, 3, 3), (16, 16, 3, 3), (16, 16, 3, 3)]
    assert weights == [*convolutions, (1024, 16 * 12 * 12), (512, 1024), (256, 512)]


def test_images_too_small_for_the_strides_are_refused() -> None:
    with pytest.raises(UserError, match=r"8 pixels a side at least.* 7 x 48"):
        make_image_encoder("fast", ImageSpec(height=7, width=48), 32)
