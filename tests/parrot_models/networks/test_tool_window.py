"""The window moves with the spot, pixel by pixel, and shows nothing beyond the image."""

from __future__ import annotations

import pytest
import torch

from parrot_data.episodes.spec import ImageSpec
from parrot_models.networks.tool_window import SIDE, ToolWindow

IMAGE = ImageSpec(height=48, width=48)
PLANES = torch.rand(2, 4, 48, 48, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("right", "down"), [(0, 0), (5, -7), (-12, 3)])
def test_the_window_is_the_image_about_the_spot(right: int, down: int) -> None:
    spot = torch.tensor([[[right / 24, down / 24]]]).expand(2, -1, -1)
    top, left = 24 + down - SIDE // 2, 24 + right - SIDE // 2
    expected = PLANES[:, :, top : top + SIDE, left : left + SIDE]
    torch.testing.assert_close(ToolWindow(IMAGE, 4, 8).window(PLANES, spot), expected)


def test_half_a_pixel_is_seen() -> None:
    net = ToolWindow(IMAGE, 4, 8)
    here, between, beside = (
        net.window(PLANES, torch.tensor([[[x / 24, 0.0]]]).expand(2, -1, -1)) for x in (0, 0.5, 1)
    )
    torch.testing.assert_close(between, (here + beside) / 2)


def test_nothing_is_seen_beyond_the_image() -> None:
    window = ToolWindow(IMAGE, 4, 8).window(PLANES, torch.full((2, 1, 2), 3.0))
    assert torch.equal(window, torch.zeros_like(window))


def test_each_row_has_its_own_spot() -> None:
    net = ToolWindow(IMAGE, 4, 8)
    spots = torch.tensor([[[0.2, 0.1]], [[-0.3, 0.0]]])
    both = net(PLANES, spots)
    for row in range(2):
        alone = net(PLANES[row : row + 1], spots[row : row + 1])
        torch.testing.assert_close(both[row : row + 1], alone)
