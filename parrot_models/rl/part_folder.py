"""What a method was pre-trained as, as a run finds it: of the right world, with its hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, sha256_file
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.methods.part import Part
from parrot_models.networks.choices import Precision
from parrot_models.networks.device import CPU
from parrot_models.rl.pretrained import Pretrained

CONFIG = "config.json"

P = TypeVar("P", bound=Pretrained)


def load_part(
    part: Part[P],
    folder: Path,
    environment: EnvironmentParams,
    precision: Precision,
    device: torch.device = CPU,
) -> P:
    """What was pre-trained, from its folder, frozen, on a device.

    Raises:
        UserError: it is missing, its weights do not match its config, or it was trained for
            another environment.
    """
    trained_for = _origin(part, folder).params.get("environment", {})
    wanted = environment.model_dump()
    for key in sorted(wanted.keys() | trained_for.keys()):
        if trained_for.get(key) != wanted.get(key):
            raise UserError(
                f"{folder} was trained for environment.{key} = {trained_for.get(key)}, but params "
                f"say {wanted.get(key)}: set that key back, or run `{part.command}` on data of "
                "the new environment"
            )
    return part.load(folder, device, precision)


def data_manifest_sha256(part: Part[Any], folder: Path) -> str:
    """Hash of the manifest of the shards that it was trained on.

    Raises:
        UserError: there is nothing pre-trained.
    """
    return _origin(part, folder).data_manifest_sha256


class _Origin(BaseModel):
    """The part of a config.json that says what its model was made from."""

    params: dict[str, dict[str, Any]]
    data_manifest_sha256: str


def _origin(part: Part[Any], folder: Path) -> _Origin:
    path = folder / CONFIG
    try:
        return _Origin.model_validate(read_json(path))
    except ValidationError as error:
        raise UserError(
            f"{path} does not say what its {part.name} was made from: train it again with "
            f"`{part.command}`"
        ) from error


def part_sha256(part: Part[Any], folder: Path) -> dict[str, str]:
    """Hashes of the files that make it: its config, with its lineage, and its weights.

    Raises:
        UserError: there is nothing pre-trained.
    """
    if not is_trained(folder):
        raise UserError(
            f"{folder} holds no {part.name} ({CONFIG} and weights): run `{part.command}`, or name "
            "the folder it wrote"
        )
    return {path.name: sha256_file(path) for path in _files(folder)}


def is_trained(folder: Path) -> bool:
    """Whether a folder holds something pre-trained."""
    return len(_files(folder)) > 1


def _files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.safetensors"), *folder.glob(CONFIG)])
