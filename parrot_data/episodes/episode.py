"""One episode as it was lived: the frozen record every store holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The arrays of an episode, in the order in which they are hashed and stored.
ARRAY_FIELDS = ("images", "proprioception", "actions", "rewards", "object_positions")
# No episode is longer and no image larger: what claims to be is refused before memory is found
# for it. Section `environment` of params.yaml allows as much.
MAX_STEPS = 200
MAX_IMAGE_SIZE = 256
METADATA_BYTES = 1024  # of an episode's metadata as JSON, at most


class ArrayForm(NamedTuple):
    """What an array of an episode of T steps is like.

    Attributes:
        dtype: as numpy spells it.
        num_extra: rows beyond T, 1 where there is one an observation.
        row: shape of a row; None is a square RGB image.
    """

    dtype: str
    num_extra: int
    row: tuple[int, ...] | None

    @property
    def max_bytes(self) -> int:
        """Size of the largest one."""
        row = (MAX_IMAGE_SIZE, MAX_IMAGE_SIZE, 3) if self.row is None else self.row
        size = int(np.prod(row, dtype=np.int64)) * np.dtype(self.dtype).itemsize
        return (MAX_STEPS + self.num_extra) * size

    def check(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        """Hold an array's dtype and shape against this.

        Raises:
            ValueError: no episode has such an array.
        """
        row = shape[1:]
        fits = row == self.row
        if self.row is None:
            fits = len(row) == 3 and row[2] == 3 and 1 <= row[0] == row[1] <= MAX_IMAGE_SIZE
        num_steps = shape[0] - self.num_extra if shape else 0
        if dtype != self.dtype or not fits or not 1 <= num_steps <= MAX_STEPS:
            raise ValueError(f"{name} of {dtype}{shape} are not an episode's")


FORMS = {
    "images": ArrayForm("|u1", 1, None),
    "proprioception": ArrayForm("<f4", 1, (8,)),
    "actions": ArrayForm("<f4", 0, (7,)),
    "rewards": ArrayForm("<f4", 0, ()),
    "object_positions": ArrayForm("<f4", 1, (3, 3)),
}


@dataclass(frozen=True, eq=False)
class Episode:
    """A record of T steps (T = 25): T + 1 observations around T actions.

    Attributes:
        index: place of the episode in its run; with params and seed it determines all the rest.
        task: the family, "pick", "place" or "drawer".
        objects: ids of the objects in the scene, target first; a drawer's name stands for an id.
        container: name of the container, "" where the scene has none.
        success: the task's predicate after the last step.
        failure: why a failed episode failed ("never_grasped", ...), "" for a success.
        images: uint8 (T + 1, 48, 48, 3), RGB.
        proprioception: float32 (T + 1, 8): gripper position (m), quaternion, opening (m).
        actions: float32 (T, 7) in [-1, 1], as executed.
        rewards: float32 (T,), 1.0 where the success predicate held after the step.
        object_positions: float32 (T + 1, 3, 3) in m, a row an object in the order of `objects`;
            rows beyond the scene's objects are NaN, a drawer's is its knob. Privileged: for filters
            and probes only.
    """

    index: int
    task: str
    objects: tuple[str, ...]
    container: str
    success: bool
    failure: str
    images: NDArray[np.uint8]
    proprioception: NDArray[np.float32]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    object_positions: NDArray[np.float32]

    @property
    def num_steps(self) -> int:
        """Number of actions, T."""
        return len(self.actions)

    def metadata(self) -> dict[str, object]:
        """Everything but the arrays, as JSON values."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ARRAY_FIELDS}
        return {**plain, "objects": list(self.objects)}

    def metadata_text(self) -> bytes:
        """The one spelling of the metadata: JSON with sorted keys.

        Raises:
            ValueError: it is longer than `METADATA_BYTES`.
        """
        text = json.dumps(self.metadata(), sort_keys=True).encode()
        if len(text) > METADATA_BYTES:
            raise ValueError(f"episode {self.index}: {len(text)} bytes of metadata")
        return text

    def content_hash(self) -> str:
        """SHA-256 over metadata and arrays: the same in every store that holds this episode.

        Shapes and dtypes are hashed beside the bytes, so that no reshaped copy passes for it.
        """
        digest = hashlib.sha256(self.metadata_text())
        for name in ARRAY_FIELDS:
            array = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def episode_from(metadata: object, arrays: Mapping[str, NDArray[np.generic]]) -> Episode:
    """Rebuild the record from `Episode.metadata()` and its arrays by name.

    Raises:
        KeyError: an array is missing.
        ValueError: the metadata are of another form, an array is none of an episode, or they
            differ in the number of steps.
    """
    found = {name: arrays[name] for name in ARRAY_FIELDS}
    for name, array in found.items():
        FORMS[name].check(name, array.dtype.str, array.shape)
    lengths = {len(array) - FORMS[name].num_extra for name, array in found.items()}
    if len(lengths) != 1:
        raise ValueError(f"its arrays are of {sorted(lengths)} steps")
    return Episode(**_checked_metadata(metadata), **found)  # type: ignore[arg-type]


def _checked_metadata(metadata: object) -> dict[str, object]:
    types = {"index": int, "task": str, "objects": list, "container": str, "success": bool}
    types["failure"] = str
    if not isinstance(metadata, dict) or metadata.keys() != types.keys():
        raise ValueError("its metadata are not those of an episode")
    for name, wanted in types.items():
        # Not isinstance: True is an int, and would be hashed as one that is not.
        if type(metadata[name]) is not wanted:
            raise ValueError(f"its {name} is no {wanted.__name__}")
    objects = metadata["objects"]
    if metadata["index"] < 0 or not all(isinstance(each, str) for each in objects):
        raise ValueError("its index or its objects are not those of an episode")
    return {**metadata, "objects": tuple(objects)}
