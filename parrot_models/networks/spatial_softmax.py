"""Maps read as places: where each one looks, and how much it finds there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

INITIAL_SHARPNESS = 4.0
SPREAD_FLOOR = 1e-2  # a flat map attends everywhere instead of to its rounding errors
LOGIT_FLOOR = -50.0  # below a map's largest; its share of the attention is 1e-22
PIECE_VALUES = 1 << 17  # of maps handled at once on a CPU: half a megabyte stays in its cache


class SpatialSoftmax(nn.Module):
    """Maps (B, K, H, W) -> places (B, K, 2) and strengths (B, K) (Levine et al. 2016).

    A place is the mean of x and y in [-1, 1] under the softmax of a map; a strength, in [-1, 1],
    says how much of what the map looks for is there.

    Args:
        size: height H and width W of the maps, pixels.
        num_maps: K.
        strength_scale: map value at which a strength begins to saturate.
    """

    def __init__(self, size: tuple[int, int], num_maps: int, strength_scale: float) -> None:
        super().__init__()
        self.strength_scale = strength_scale
        self.sharpness = nn.Parameter(torch.full((num_maps, 1), INITIAL_SHARPNESS))
        height, width = size
        y, x = torch.meshgrid(pixel_centers(height), pixel_centers(width), indexing="ij")
        basis = torch.stack([x, y, x.square() + y.square()]).flatten(1)
        self.basis: Tensor  # x, y and x^2 + y^2 of every pixel, (3, H * W), row by row
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, maps: Tensor, pull: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Places and strengths of maps.

        Args:
            maps: (B, K, H, W), of any dtype and memory order.
            pull: (B, K, 3); pull @ (x, y, x^2 + y^2) is added to the logits.
        """
        if torch.is_grad_enabled():
            places, found = _Attend.apply(  # type: ignore[no-untyped-call]
                maps, self.sharpness, pull, self.basis
            )
        else:
            places, found, *_ = attend(maps, self.sharpness, pull, self.basis)
        return places, torch.tanh(found / self.strength_scale)


def pixel_centers(side: int) -> Tensor:
    """Centres (side,) of a row of pixels that spans [-1, 1]."""
    return (2 * torch.arange(side) + 1) / side - 1.0


class _Attend(torch.autograd.Function):
    """Mean place (B, K, 2) and mean value (B, K) of each map under its own softmax.

    By hand, because autograd's dozen passes over maps that no cache holds took more than half of a
    training step. Both directions go through the batch piece by piece, and the backward one makes
    the attention anew instead of reading it from memory.
    """

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, sharpness: Tensor, pull: Tensor | None, basis: Tensor
    ) -> tuple[Tensor, ...]:
        results = attend(maps, sharpness, pull, basis)
        ctx.save_for_backward(maps, sharpness, pull, basis, *results)
        return results[:2]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_places: Tensor, grad_found: Tensor) -> tuple[Tensor | None, ...]:
        maps, sharpness, pull, basis, places, found, mean, spread = ctx.saved_tensors
        grad_maps = torch.empty_like(maps)
        grad_gain = torch.empty_like(found)[..., None]
        grad_pull = None if pull is None else torch.empty_like(pull)
        gain = sharpness / spread
        # softmax: dL = A * (dA - sum(A * dA)), where dA = grad_places @ (x, y) + grad_found * maps.
        offset = (grad_places * places).sum(-1, keepdim=True) + (grad_found * found)[..., None]
        xy1 = torch.cat([basis[:2], torch.ones_like(basis[:1])])
        weights = torch.cat([grad_places, -offset], -1)
        for piece in _pieces(maps):
            values = _values(maps[piece])
            attention = _softmax(values, gain[piece], pull if pull is None else pull[piece], basis)
            strength = grad_found[piece][..., None]
            grad_logits = torch.matmul(weights[piece], xy1).addcmul_(values, strength)
            grad_logits.mul_(attention)
            if grad_pull is not None:
                grad_pull[piece] = grad_logits @ basis.T
            grad_gain[piece] = torch.linalg.vecdot(grad_logits, values)[..., None]
            # gain = sharpness / spread; the spread's slope: (values - mean) / (P * deviation).
            deviation = (spread[piece] - SPREAD_FLOOR).clamp_min(SPREAD_FLOOR**2)
            slope = -grad_gain[piece] * gain[piece] / spread[piece] / deviation / values.shape[-1]
            grad_values = grad_logits.mul_(gain[piece]).addcmul_(attention, strength)
            grad_values.addcmul_(values, slope).sub_(slope * mean[piece])
            grad_maps[piece].flatten(2).copy_(grad_values)
        return grad_maps, (grad_gain / spread).sum(0), grad_pull, None


def attend(
    maps: Tensor, sharpness: Tensor, pull: Tensor | None, basis: Tensor
) -> tuple[Tensor, ...]:
    """Mean places (B, K, 2) and values (B, K) under the softmax; mean and spread (B, K, 1)."""
    if torch.is_autocast_enabled(maps.device.type):
        with torch.autocast(maps.device.type, enabled=False):  # a place is finer than bfloat16
            return attend(maps, sharpness, pull, basis)
    pieces = _pieces(maps)
    if len(pieces) == 1:
        return _attend_to_piece(maps, sharpness, pull, basis)
    parts = [
        _attend_to_piece(maps[p], sharpness, pull if pull is None else pull[p], basis)
        for p in pieces
    ]
    return tuple(torch.cat(each) for each in zip(*parts, strict=True))


def _attend_to_piece(
    maps: Tensor, sharpness: Tensor, pull: Tensor | None, basis: Tensor
) -> tuple[Tensor, ...]:
    values = _values(maps)
    mean, spread = _moments(values)
    attention = _softmax(values, sharpness / spread, pull, basis)
    return attention @ basis[:2].T, torch.linalg.vecdot(attention, values), mean, spread


def _pieces(maps: Tensor) -> list[slice]:
    """Slices of the batch; one where the device is not a CPU."""
    size = len(maps)
    if maps.device.type == "cpu" and maps.numel() > PIECE_VALUES:
        size = max(1, PIECE_VALUES * size // maps.numel())
    return [slice(start, start + size) for start in range(0, len(maps), size)]


def _values(maps: Tensor) -> Tensor:
    """Maps as float32 (B, K, places), a map's values side by side."""
    values = maps.flatten(2).to(torch.float32, memory_format=torch.contiguous_format)
    return values.contiguous()  # `to` leaves float32 as it lies


def _softmax(values: Tensor, gain: Tensor, pull: Tensor | None, basis: Tensor) -> Tensor:
    logits = values * gain
    if pull is not None:
        logits.flatten(0, 1).addmm_(pull.flatten(0, 1), basis)  # a view: written in place
    # Softmax, floored: a strong pull leaves weights too small for a normal float, and a CPU takes a
    # hundred times longer over products of those.
    attention = logits.sub_(logits.amax(-1, keepdim=True)).clamp_min_(LOGIT_FLOOR).exp_()
    return attention.div_(attention.sum(-1, keepdim=True))


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of maps (B, K, places), (B, K, 1); the latter with its floor.

    Without it the softmax starts flat, every place in the middle, and hardly learns. (By moments,
    because torch's std is ten times slower.)
    """
    mean = values.mean(-1, keepdim=True)
    squares = torch.linalg.vector_norm(values, dim=-1, keepdim=True).square() / values.shape[-1]
    return mean, (squares - mean.square()).clamp_min_(0.0).sqrt_().add_(SPREAD_FLOOR)
