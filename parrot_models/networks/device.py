"""All that differs between devices: a tensor on the wrong one is made, or not, in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from parrot_data.errors import UserError

CPU = torch.device("cpu")


def named_device(name: str) -> torch.device:
    """The device called "cpu", "cuda", "cuda:N" or "auto": CUDA where there is any, else the CPU.

    Raises:
        UserError: nothing is called so, or torch finds no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"no device is called {name!r}: choose cpu, cuda, cuda:N or auto")
    if device.type == "cpu":
        return CPU
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        raise UserError(
            f"torch {torch.__version__} finds {count} CUDA devices here, so not {name!r}: choose "
            "--device cpu, or install a torch that was built for this machine's GPU"
        )
    return torch.device("cuda", device.index or 0)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; from the host to a GPU without waiting for the copy."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return pinned(tensor).to(device, non_blocking=True)
    return tensor.to(device)


def pinned(tensor: Tensor) -> Tensor:
    """A tensor of the host in memory that a GPU copies from by itself."""
    return tensor.pin_memory()


def on_host(state: Any) -> Any:
    """The state of a module or an optimizer with all of its tensors on the CPU: what files hold."""
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, Mapping):
        return {key: on_host(value) for key, value in state.items()}
    return [on_host(value) for value in state] if isinstance(state, list) else state


def noise_generator(of_weights: torch.Generator, device: torch.device) -> torch.Generator:
    """A source of noise on a device, from the one on the CPU that first weights were drawn from.

    So an agent begins with the same weights on every device. On the CPU it is that very source.
    """
    if device.type == "cpu":
        return of_weights
    return torch.Generator(device).manual_seed(of_weights.initial_seed())


def adam(
    parameters: Sequence[nn.Parameter], learning_rate: float, device: torch.device, *, fused: bool
) -> torch.optim.Adam:
    """Adam; on a GPU one that a CUDA graph may hold, its learning rate a tensor there."""
    if device.type != "cuda":
        return torch.optim.Adam(parameters, learning_rate, fused=fused)
    optimizer = torch.optim.Adam(parameters, learning_rate, fused=fused, capturable=True)
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(learning_rate, device=device)
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Go on with this learning rate, which a CUDA graph that holds the optimizer sees too."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(learning_rate)
        else:
            group["lr"] = learning_rate


def restore(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimizer's state from the host; its learning rate stays on the device."""
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(rate, Tensor):
            group["lr"] = rate.fill_(float(group["lr"]))
