"""Two encoders as one stack of convolutions, for images that come one at a time.

At batch 1 calling a layer costs more than its arithmetic; a foveal encoder and a keypoint encoder
have layers of the same kinds, so that both can look at an image at the price of one.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from parrot_models.networks.choices import Precision
from parrot_models.networks.foveal_encoder import OFFSET_GAIN, FovealEncoder, project
from parrot_models.networks.keypoints import KeypointEncoder
from parrot_models.networks.maps import INPUT_GAIN
from parrot_models.networks.precision import dtype_in
from parrot_models.networks.spatial_softmax import attend
from parrot_models.networks.tool_window import ToolWindow

RGB, RGB_AND_CHROMA = 3, 4  # planes that the keypoint and the foveal encoder look at
LARGEST_BYTE = 255.0


class JointEncoder(nn.Module):
    """Features of both encoders as they are now: their weights are copied, and frozen.

    Args:
        keypoints, foveal: of images of the same size; not changed.
        precision: of what the convolutions read and write; places are float32 in any.
    """

    @torch.no_grad()
    def __init__(
        self, keypoints: KeypointEncoder, foveal: FovealEncoder, precision: Precision
    ) -> None:
        super().__init__()
        self._num_keypoints = keypoints.num_keypoints
        pairs = zip(_convolutions(keypoints.maps), _convolutions(foveal.maps), strict=True)
        self.maps = nn.Sequential(*(layer for a, b in pairs for layer in _side_by_side(a, b)))[:-1]
        # Images stay bytes less their mean; what scales them goes into the weights.
        first = cast(nn.Conv2d, next(self.maps.children()))
        first.weight.mul_(INPUT_GAIN / LARGEST_BYTE)
        self._dtype = dtype_in(precision, keypoints.mean_image.device)
        self.maps.to(self._dtype, memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
        self.window = self._window_of(foveal)
        self._register_constants(keypoints, foveal)

    def _window_of(self, foveal: FovealEncoder) -> ToolWindow | None:
        """A copy of the foveal encoder's window, of this precision."""
        window = copy.deepcopy(foveal.window)
        if window is not None:
            window.see.to(self._dtype, memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
        return window

    def _register_constants(self, keypoints: KeypointEncoder, foveal: FovealEncoder) -> None:
        rgb, four = keypoints.mean_image.contiguous(), foveal.mean_image.contiguous()
        mean = LARGEST_BYTE * (torch.cat([rgb, four], 1) + 0.5)
        mean[:, -1] -= 0.5 * LARGEST_BYTE  # chroma is scaled to [0, 1]
        sharpness = torch.cat([keypoints.attend.sharpness, foveal.attend.sharpness])
        gains = [
            torch.full_like(half.sharpness[:, 0], 1 / half.strength_scale)
            for half in (keypoints.attend, foveal.attend)
        ]
        self.mean_bytes: Tensor
        self.sharpness: Tensor
        self.strength_gain: Tensor
        self.basis: Tensor
        self.register_buffer("mean_bytes", mean)
        self.register_buffer("sharpness", sharpness.detach())
        self.register_buffer("strength_gain", torch.cat(gains).detach())
        self.projection: Tensor
        self.register_buffer("basis", foveal.attend.basis)
        self.register_buffer("projection", foveal.projection)
        # `FovealEncoder.pull_towards` with as many maps before it that nothing pulls.
        unpulled = foveal.log_pull.new_zeros(self._num_keypoints, 1)
        strength = torch.cat([unpulled, foveal.log_pull.exp()])
        self.pull_gain: Tensor
        self.pull_outwards: Tensor
        self.register_buffer("pull_gain", 2 * strength)
        self.register_buffer("pull_outwards", -strength[None])

    @torch.no_grad()
    def forward(self, images: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """The keypoints' features and the foveal ones, float32.

        Args:
            images: uint8 (B, H, W, 3).
            positions: float32 (B, 3), of the tool, m.
        """
        spot = project(positions, self.projection)[:, None]
        num = self._num_keypoints
        pull = torch.cat(
            [self.pull_gain * spot, self.pull_outwards.expand(len(images), -1, -1)], -1
        )
        planes = seven_planes(images).to(torch.float32).sub_(self.mean_bytes)
        maps = self.maps(planes.to(self._dtype, memory_format=torch.channels_last))
        places, found, *_ = attend(maps, self.sharpness, pull, self.basis)
        strengths = torch.tanh(found * self.strength_gain)
        x, y = places[:, :num].unbind(-1)
        across, down = (OFFSET_GAIN * (places[:, num:] - spot)).unbind(-1)
        shown = []
        if self.window is not None:
            shown.append(self.window(planes[:, RGB:] * (INPUT_GAIN / LARGEST_BYTE), spot))
        return (
            torch.cat([x, y, strengths[:, :num]], -1),
            torch.cat([across, down, strengths[:, num:], *shown], -1),
        )


def seven_planes(images: Tensor) -> Tensor:
    """RGB, RGB again and chroma (see `with_chroma`) of uint8 (B, H, W, 3): uint8 (B, 7, H, W)."""
    seven = images.new_empty(len(images), RGB + RGB_AND_CHROMA, *images.shape[1:3])
    planes = images.permute(0, 3, 1, 2)
    seven[:, :3], seven[:, 3:6] = planes, planes
    torch.sub(planes.amax(1), planes.amin(1), out=seven[:, 6])
    return seven


def _convolutions(layers: nn.Sequential) -> list[nn.Conv2d]:
    return [layer for layer in layers if isinstance(layer, nn.Conv2d)]


def _side_by_side(a: nn.Conv2d, b: nn.Conv2d) -> tuple[nn.Conv2d, nn.ReLU]:
    """One convolution that does a's work on its first channels and b's on the others."""
    inputs, outputs = a.in_channels + b.in_channels, a.out_channels + b.out_channels
    joint = nn.Conv2d(inputs, outputs, a.kernel_size, a.stride, a.padding, device=a.weight.device)  # type: ignore[arg-type]
    joint.weight.zero_()
    joint.weight[: a.out_channels, : a.in_channels] = a.weight
    joint.weight[a.out_channels :, a.in_channels :] = b.weight
    assert a.bias is not None
    assert b.bias is not None
    assert joint.bias is not None
    joint.bias.copy_(torch.cat([a.bias, b.bias]))
    return joint, nn.ReLU(inplace=True)
