"""A prior as a run finds it: the right one, of the right world, with its hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError

from parrot_data.envs.params import EnvironmentParams
from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, sha256_file
from parrot_models.networks.device import CPU
from parrot_models.prior.behavioral_prior import CONFIG, BehavioralPrior


def load_prior(
    folder: Path, environment: EnvironmentParams, device: torch.device = CPU
) -> BehavioralPrior:
    """The prior in a folder, frozen, on a device.

    Raises:
        UserError: it is missing, its weights do not match its config, or it was trained for
            another environment.
    """
    trained_for = _origin(folder).params.get("environment", {})
    wanted = environment.model_dump()
    for key in sorted(wanted.keys() | trained_for.keys()):
        if trained_for.get(key) != wanted.get(key):
            raise UserError(
                f"{folder} was trained for environment.{key} = {trained_for.get(key)}, but params "
                f"say {wanted.get(key)}: set that key back, or run `parrot train-prior` on data of "
                "the new environment"
            )
    return BehavioralPrior.load(folder).to(device)


def data_manifest_sha256(prior: Path) -> str:
    """Hash of the manifest of the shards that a prior was trained on.

    Raises:
        UserError: there is no prior.
    """
    return _origin(prior).data_manifest_sha256


class _Origin(BaseModel):
    """The part of a prior's config.json that says what it was made from."""

    params: dict[str, dict[str, Any]]
    data_manifest_sha256: str


def _origin(prior: Path) -> _Origin:
    path = prior / CONFIG
    try:
        return _Origin.model_validate(read_json(path))
    except ValidationError as error:
        raise UserError(
            f"{path} does not say what its prior was made from: train it again with "
            "`parrot train-prior`"
        ) from error


def prior_sha256(folder: Path) -> dict[str, str]:
    """Hashes of the files that make a prior: its config, with its lineage, and its weights.

    Raises:
        UserError: there is no prior.
    """
    files = sorted([*folder.glob("*.safetensors"), *folder.glob(CONFIG)])
    if len(files) < 2:
        raise UserError(
            f"{folder} holds no prior ({CONFIG} and weights): run `parrot train-prior`, or name "
            "the folder it wrote"
        )
    return {path.name: sha256_file(path) for path in files}
