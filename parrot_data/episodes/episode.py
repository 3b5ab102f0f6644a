"""One episode as it was recorded: the frozen record every store holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

OBSERVATION, PRIVILEGED = "observation", "privileged"
METADATA_FIELDS = ("index", "task", "success", "failure", "terminated", "facts")


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
        values = {name: getattr(self, name) for name in METADATA_FIELDS}
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

    def content_hash(self) -> str:
        """SHA-256 over metadata and arrays: the same in every store that holds this episode.

        Shapes and dtypes are hashed beside the bytes, so that no reshaped copy passes for it.
        """
        digest = hashlib.sha256(json.dumps(self.metadata(), sort_keys=True).encode())
        for name, values in self.arrays().items():
            array = np.ascontiguousarray(values)
            digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def episode_from(metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Episode:
    """Rebuild the record from `Episode.metadata()` and `Episode.arrays()`.

    Raises:
        KeyError: a field is missing.
        ValueError: there is a field or an array that no episode has.
    """
    if metadata.keys() != set(METADATA_FIELDS):
        raise ValueError(f"metadata {sorted(metadata)} are not those of an episode")
    observations, privileged = {}, {}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        if kind == OBSERVATION and rest:
            observations[rest] = array
        elif kind == PRIVILEGED and rest:
            privileged[rest] = array
        elif name not in ("actions", "rewards"):
            raise ValueError(f"no episode has an array {name!r}")
    return Episode(
        **metadata,
        observations=observations,
        privileged=privileged,
        actions=arrays["actions"],
        rewards=arrays["rewards"],
    )
