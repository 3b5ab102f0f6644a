"""A trained model in a folder: its weights, and a config.json that says how to build it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, write_json
from parrot_data.stores.seal import check_seal, is_sealed
from parrot_models.networks.declared import TooLargeError, declared_in, sketched

CONFIG = "config.json"
SPEC = "spec"  # of an architecture: it stands beside the rest, as in a dataset's manifest

Model = TypeVar("Model", bound=nn.Module)
Architecture = TypeVar("Architecture", bound=BaseModel)

# What building a model of a wrong config raises: its values go into shapes, indices and sums.
UNFIT: tuple[type[Exception], ...] = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
_UNDESCRIBED: tuple[type[Exception], ...] = (UserError, *UNFIT)


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write a state dict, from whatever device it lies on."""
    save_file({name: tensor.cpu().contiguous() for name, tensor in weights.items()}, path)


def save_model(
    model: nn.Module,
    folder: Path,
    weights: str,
    architecture: BaseModel,
    lineage: Mapping[str, Any],
) -> None:
    """Write weights and config.json.

    Args:
        model: any.
        folder: exists already.
        weights: name of the file of weights.
        architecture: what the model can be built from again, with the spec of its data.
        lineage: what it was made from, for config.json.
    """
    save_weights(model.state_dict(), folder / weights)
    described = architecture.model_dump(mode="json")
    spec = described.pop(SPEC)
    write_json(folder / CONFIG, {"architecture": described, SPEC: spec, **lineage})


def load_model(
    make: Callable[[Mapping[str, Any]], Model], folder: Path, weights: str, name: str, command: str
) -> Model:
    """Build a model again, frozen and in evaluation mode.

    Args:
        make: the model, with any weights, of what config.json holds.
        folder: that a training wrote.
        weights: name of the file of weights.
        name: of what is read, for errors.
        command: that makes it, for errors.

    Raises:
        UserError: config or weights are missing, unreadable or do not fit each other, or were
            changed after their training.
    """
    if is_sealed(folder):  # one that was saved by hand is not
        check_seal(folder, command)
    config, path = read_json(folder / CONFIG), folder / weights
    try:
        declared = declared_in(path)
    except (OSError, KeyError, SafetensorError) as error:
        raise UserError(
            f"{path}, the weights of {name}, cannot be read ({error}): restore it with "
            f"`dvc checkout`, or train it again with `{command}`"
        ) from error
    try:
        fits = sketched(make, config, declared) == declared
    except TooLargeError:
        fits = False
    except _UNDESCRIBED as error:
        raise UserError(
            f"{folder / CONFIG} does not describe {name} ({first_line(error)}): train it again "
            f"with `{command}`"
        ) from error
    if not fits:
        raise UserError(
            f"{path} holds weights of another architecture than {CONFIG} beside it describes: "
            f"train {name} again with `{command}`"
        )
    model = make(config)
    model.load_state_dict(load_file(path))
    return model.eval().requires_grad_(False)


def first_line(error: Exception) -> str:
    """What an error of torch's says before it goes into detail."""
    return (str(error).splitlines() or [repr(error)])[0][:300]


def architecture_of(kind: type[Architecture], config: Any) -> Architecture:
    """An architecture, of what config.json says under `architecture` and `spec`.

    Raises:
        KeyError, TypeError, ValueError: it says something else.
    """
    said = {**config["architecture"], SPEC: config[SPEC]}
    return kind.model_validate_json(json.dumps(said))
