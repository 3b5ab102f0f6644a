"""One episode as it was lived: the frozen record every store holds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

# The arrays of an episode, in the order in which they are hashed and stored.
ARRAY_FIELDS = ("images", "proprioception", "actions", "rewards", "object_positions")


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

    def content_hash(self) -> str:
        """SHA-256 over metadata and arrays: the same in every store that holds this episode.

        Shapes and dtypes are hashed beside the bytes, so that no reshaped copy passes for it.
        """
        digest = hashlib.sha256(json.dumps(self.metadata(), sort_keys=True).encode())
        for name in ARRAY_FIELDS:
            array = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def episode_from(metadata: dict[str, object], arrays: dict[str, NDArray[np.generic]]) -> Episode:
    """Rebuild the record from `Episode.metadata()` and its arrays by name.

    Raises:
        KeyError: a field is missing.
    """
    values = {**metadata, "objects": tuple(metadata["objects"])}  # type: ignore[arg-type]
    return Episode(**values, **{name: arrays[name] for name in ARRAY_FIELDS})  # type: ignore[arg-type]
