"""What methods are pre-trained as: where each part lies, what makes it, how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from pydantic import BaseModel, ValidationError

from parrot_data.episodes.spec import EpisodeSpec, difference
from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, sha256_file
from parrot_models.networks.choices import Precision
from parrot_models.networks.context_model import ContextModel
from parrot_models.networks.device import CPU
from parrot_models.networks.keypoints import Keypoints
from parrot_models.networks.observations import Observations
from parrot_models.networks.sight import Encoding, Sight
from parrot_models.rl.views import Pretrained

CONFIG = "config.json"


class Trained(Pretrained, Protocol):
    """What a part is once it is read: it sees for an agent, and knows of which data it is."""

    @property
    def spec(self) -> EpisodeSpec:
        """Of the data that it was trained on."""


T = TypeVar("T", bound=Trained)
T_co = TypeVar("T_co", bound=Trained, covariant=True)


@dataclass(frozen=True)
class Part(Generic[T_co]):
    """A kind of pre-trained model.

    Attributes:
        name: of the part, and of its folder among the models.
        command: what makes it.
        load: reads it from its folder, frozen, onto a device; precision is that of `ActingPrior`.
        code: files and folders of parrot_models that say what it does and that other parts can do
            without: a change of these concerns nobody else.
    """

    name: str
    command: str
    load: Callable[[Path, torch.device, Precision], T_co]
    code: tuple[str, ...]


class ContextSeen:
    """A model as something to see with: its context, and beside that keypoints of its own.

    No paper says what else the agent of such a baseline should see. What a prior's agents see, they
    see beside keypoints, which tell a target from a distractor; so do these.

    Args:
        model: frozen; its context is what its behaviour depends on.
        keypoints: frozen, on the same device; None without.
        precision: of the convolutions, see `Sight`.
    """

    def __init__(
        self, model: ContextModel, keypoints: Keypoints | None, precision: Precision
    ) -> None:
        self.spec, self.device = model.spec, model.device
        self.action_box = model.action_scale.box_arrays
        self._sight = Sight(model, keypoints, precision)

    def encode(self, observations: Observations) -> Encoding:
        """Encode observations (B, ...) by name.

        Features begin with the context, on which `ClonedActor` relies.
        """
        context, keypoints, _own = self._sight.see(observations)
        return Encoding(context, torch.cat([context, keypoints.float()], -1))


def load_part(
    part: Part[T], folder: Path, spec: EpisodeSpec, precision: Precision, device: torch.device = CPU
) -> T:
    """What was pre-trained, from its folder, frozen, on a device.

    Args:
        part: of which kind.
        folder: that its training wrote.
        spec: of the world to act in.
        precision: see `Part`.
        device: see `Part`.

    Raises:
        UserError: it is missing, its weights do not match its config, or it was trained on data
            that are not like the world's.
    """
    _origin(part, folder)
    loaded = part.load(folder, device, precision)
    differs = difference(loaded.spec, spec)
    if differs:
        raise UserError(
            f"{folder} was trained on other data than the environment of params has ({differs}): "
            f"set the environment back, or run `{part.command}` on data of this one"
        )
    return loaded


def data_manifest_sha256(part: Part[Any], folder: Path) -> str:
    """Hash of the manifest of the shards that it was trained on.

    Raises:
        UserError: there is nothing pre-trained.
    """
    return _origin(part, folder).data_manifest_sha256


class _Origin(BaseModel):
    """The part of a config.json that says what its model was made from."""

    params: dict[str, Any]
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
