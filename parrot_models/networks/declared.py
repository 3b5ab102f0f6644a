"""What a file of weights says it holds, and models held to that while they are built.

A config.json says how large a model is, and whoever wrote it may have written anything. The weights
beside it cannot lie: their header is held against the size of their file by safetensors. So a model
is first built without memory, and no further than its weights reach.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

# Name of a tensor: its dtype and its shape.
Forms = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]
Model = TypeVar("Model", bound=nn.Module)

_DTYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64, "U8": torch.uint8}
# What a model has beside the weights it stores: layers without any, tables it can make again.
_SPARE_TENSORS = 256
_SPARE_ELEMENTS = 1 << 20
_MODULES_PER_TENSOR = 8


class TooLargeError(ValueError):
    """A model has more in it than its weights."""


def declared_in(path: Path) -> Forms:
    """The tensors that a file of weights holds; none is read.

    Raises:
        OSError, SafetensorError: the file is missing, or not whole.
        KeyError: it holds a tensor of a dtype that no model of ours has.
    """
    forms = {}
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - it is no dict
            described = file.get_slice(name)
            forms[name] = _DTYPES[described.get_dtype()], tuple(described.get_shape())
    return forms


def forms_of(weights: Mapping[str, Tensor]) -> Forms:
    """The same, of a state dict."""
    return {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in weights.items()}


@contextmanager
def no_larger_than(forms: Forms) -> Iterator[None]:
    """Stop what builds modules in here when it has made much more than such weights.

    Raises:
        TooLargeError: as soon as it has.
    """
    tensors = 2 * len(forms) + _SPARE_TENSORS
    elements = 2 * sum(prod(shape) for _, shape in forms.values()) + _SPARE_ELEMENTS
    modules = _MODULES_PER_TENSOR * tensors

    def count_tensor(_module: nn.Module, _name: str, tensor: Tensor | None) -> None:
        nonlocal tensors, elements
        tensors -= 1
        elements -= 0 if tensor is None else tensor.numel()
        if tensors < 0 or elements < 0:
            raise TooLargeError("it asks for more than its weights hold")

    def count_module(_module: nn.Module, _name: str, _part: nn.Module | None) -> None:
        nonlocal modules
        modules -= 1
        if modules < 0:
            raise TooLargeError("it asks for more layers than its weights are of")

    hooks = [
        register_module_parameter_registration_hook(count_tensor),
        register_module_buffer_registration_hook(count_tensor),
        register_module_module_registration_hook(count_module),
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of empty layers: no weights are of such a model
            yield
    finally:
        for hook in hooks:
            hook.remove()


def sketched(make: Callable[[Any], Model], config: Any, forms: Forms) -> Forms:
    """The weights that a model of a config would have; nothing is found memory for.

    Raises:
        TooLargeError: it would have many more than `forms`.
    """
    with torch.device("meta"), no_larger_than(forms):
        return forms_of(make(config).state_dict())
