"""A GPU that is not there: shapes, dtypes and devices are followed, nothing is computed.

Where a tensor of the CPU meets one of the GPU torch's fake tensors raise as a GPU would, and reading
a number back raises too, which on a GPU would only be slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from parrot_models.networks import device as devices

GPU = torch.device("cuda:0")


@contextmanager
def fake_cuda() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True):
        patch.setattr(nn.Module, "to", _to)
        patch.setattr(torch.Tensor, "backward", _backward)
        patch.setattr(nn.Conv2d, "_conv_forward", _convolve)
        patch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
        patch.setattr(devices, "noise_generator", lambda generator, _device: generator)
        yield


def _to(module: nn.Module, device: torch.device, **_: object) -> nn.Module:
    """`Module.to`, which cannot swap fake parameters."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                moved = parameter.detach().clone().to(device)
                part._parameters[name] = nn.Parameter(moved, parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = buffer.clone().to(device)
    return module


def _convolve(layer: nn.Conv2d, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None):
    """A convolution of the same shapes; torch's own asks for libraries of a GPU and aborts."""
    columns = functional.unfold(x, layer.kernel_size, padding=layer.padding, stride=layer.stride)
    side = (x.shape[-1] + 2 * layer.padding[0] - layer.kernel_size[0]) // layer.stride[0] + 1
    maps = weight.flatten(1) @ columns + bias[:, None]
    return maps.reshape(len(x), -1, side, side)


def _backward(loss: torch.Tensor, inputs: list[torch.Tensor]) -> None:
    """Gradients of the right kind; torch's engine starts a thread a GPU, and aborts without one."""
    assert loss.device == GPU
    for parameter in inputs:
        parameter.grad = torch.empty_like(parameter)
