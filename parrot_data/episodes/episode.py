"""One episode as it was recorded: the frozen record every store holds."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.spec import EpisodeSpec

OBSERVATION, PRIVILEGED = "observation", "privileged"
METADATA_TYPES = {
    "index": int, "task": str, "success": bool, "failure": str, "terminated": bool, "facts": dict,
}  # fmt: skip
# What claims to be more is refused before memory is found for it.
MAX_STEPS = 1_000_000
METADATA_BYTES = 16_384  # of an episode's metadata as JSON, at most


class ArrayForm(NamedTuple):
    """What an array of an episode of T steps is like.

    Attributes:
        dtype: as numpy spells it in a file, such as "<f4".
        num_extra: rows beyond T, 1 where there is one an observation.
        row: shape of a row.
    """

    dtype: str
    num_extra: int
    row: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Size of a row."""
        return math.prod(self.row) * np.dtype(self.dtype).itemsize

    def check(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        """Hold an array's dtype and shape against this.

        Raises:
            ValueError: no episode has such an array.
        """
        num_steps = shape[0] - self.num_extra if shape else 0
        if dtype != self.dtype or shape[1:] != self.row or not 1 <= num_steps <= MAX_STEPS:
            raise ValueError(f"{name} of {dtype}{shape} are not an episode's")


def forms_of(spec: EpisodeSpec) -> dict[str, ArrayForm]:
    """Forms of all arrays of episodes that a spec describes, by the names of `Episode.arrays`."""
    return {
        "actions": ArrayForm("<f4", 0, (spec.action.dim,)),
        "rewards": ArrayForm("<f4", 0, ()),
        **{
            f"{OBSERVATION}.{name}": ArrayForm(each.dtype.str, 1, each.shape)
            for name, each in sorted(spec.observations.items())
        },
        **{
            f"{PRIVILEGED}.{name}": ArrayForm(np.dtype(each.dtype).str, 1, tuple(each.shape))
            for name, each in sorted(spec.privileged.items())
        },
    }


@dataclass(frozen=True, eq=False)
class Episode:
    """A record of T steps: T + 1 observations around T actions. T differs between episodes.

    What arrays there are, and of which shapes, says the `EpisodeSpec` of its dataset.

    Attributes:
        index: place of the episode in its run; with params and seed it determines all the rest.
        task: name of what was done.
        success: whether it was achieved at the end.
        failure: why a failed episode failed ("never_grasped", ...), "" where unknown or a success.
        terminated: whether the environment ended the episode; else it was cut off (truncated).
        facts: JSON values of any other kind: objects of the scene, the seed, the source.
        observations: (T + 1, ...) each, by name; images uint8 (T + 1, H, W, 3), vectors float32.
        actions: float32 (T, A), as sent to the environment.
        rewards: float32 (T,).
        privileged: (T + 1, ...) each, by name: for filters and probes only, no policy sees them.
    """

    index: int
    task: str
    success: bool
    failure: str
    terminated: bool
    observations: Mapping[str, NDArray[Any]]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    facts: Mapping[str, Any] = field(default_factory=dict)
    privileged: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def num_steps(self) -> int:
        """Number of actions, T."""
        return len(self.actions)

    def metadata(self) -> dict[str, Any]:
        """Everything but the arrays, as JSON values."""
        values = {name: getattr(self, name) for name in METADATA_TYPES}
        return {**values, "facts": dict(self.facts)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array by the name that stores give it, in the order in which they are hashed.

        `actions`, `rewards`, `observation.NAME` and `privileged.NAME`.
        """
        return {
            "actions": self.actions,
            "rewards": self.rewards,
            **{f"{OBSERVATION}.{k}": v for k, v in sorted(self.observations.items())},
            **{f"{PRIVILEGED}.{k}": v for k, v in sorted(self.privileged.items())},
        }

    def metadata_text(self) -> bytes:
        """The one spelling of the metadata: JSON with sorted keys.

        Raises:
            ValueError: it is longer than `METADATA_BYTES`, or facts hold what JSON cannot say.
        """
        try:
            text = json.dumps(self.metadata(), sort_keys=True, allow_nan=False).encode()
        except TypeError as error:
            raise ValueError(f"episode {self.index}: its facts are no JSON: {error}") from error
        if len(text) > METADATA_BYTES:
            raise ValueError(f"episode {self.index}: {len(text)} bytes of metadata")
        return text

    def content_hash(self) -> str:
        """SHA-256 over metadata and arrays: the same in every store that holds this episode.

        Shapes and dtypes are hashed beside the bytes, so that no reshaped copy passes for it.
        """
        digest = hashlib.sha256(self.metadata_text())
        for name, values in self.arrays().items():
            array = np.ascontiguousarray(values)
            digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def episode_from(
    metadata: object, arrays: Mapping[str, NDArray[Any]], spec: EpisodeSpec
) -> Episode:
    """Rebuild the record from `Episode.metadata()` and `Episode.arrays()`.

    Raises:
        ValueError: the metadata are of another form, an array is missing, too many or not as the
            spec says, or they differ in the number of steps.
    """
    forms = forms_of(spec)
    if arrays.keys() != forms.keys():
        raise ValueError(f"arrays {sorted(arrays)} where the spec names {sorted(forms)}")
    for name, array in arrays.items():
        forms[name].check(name, array.dtype.str, array.shape)
    lengths = {len(array) - forms[name].num_extra for name, array in arrays.items()}
    if len(lengths) != 1:
        raise ValueError(f"its arrays are of {sorted(lengths)} steps")
    return Episode(
        **_checked_metadata(metadata),
        observations={name: arrays[f"{OBSERVATION}.{name}"] for name in spec.observations},
        privileged={name: arrays[f"{PRIVILEGED}.{name}"] for name in spec.privileged},
        actions=arrays["actions"],
        rewards=arrays["rewards"],
    )


def _checked_metadata(metadata: object) -> dict[str, Any]:
    if not isinstance(metadata, dict) or metadata.keys() != METADATA_TYPES.keys():
        raise ValueError("its metadata are not those of an episode")
    for name, wanted in METADATA_TYPES.items():
        # Not isinstance: True is an int, and would be hashed as one that is not.
        if type(metadata[name]) is not wanted:
            raise ValueError(f"its {name} is no {wanted.__name__}")
    if metadata["index"] < 0:
        raise ValueError("its index is negative")
    return metadata
