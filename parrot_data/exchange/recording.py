"""What a file of others holds, before it is held against what an episode must be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import MAX_STEPS
from parrot_data.errors import UserError

MAX_BYTES = 1 << 31  # of an array of one episode: what claims to be more is refused unread
_PLAIN = re.compile(r"[ -~]{1,100}")


@dataclass(frozen=True)
class Trajectory:
    """One recorded episode, as its file has it.

    Attributes:
        name: in the file.
        observations: by name: T rows each, or T + 1.
        next_observations: rows after each action, T each; None where the file has none.
        actions: T rows.
        rewards: T of them; None where the file has none.
        terminated: whether the environment ended it.
        flag: what the key of the success rule holds of it; None where it holds nothing.
        task: what it calls its own task, "" where it does not.
    """

    name: str
    observations: Mapping[str, NDArray[Any]]
    next_observations: Mapping[str, NDArray[Any]] | None
    actions: NDArray[Any]
    rewards: NDArray[Any] | None
    terminated: bool
    flag: NDArray[Any] | None
    task: str = ""


@dataclass(frozen=True)
class Recording:
    """An open file of others.

    Attributes:
        path: the file.
        task: what it calls the task of all, "" where it does not.
        num_episodes: how many trajectories there are.
        trajectories: all of them, once, one in memory at a time.
        bounds: lower and upper ones of the action, where the file or its format says them.
        control_rate_hz: actions a second, where the file says it.
        notes: sentences on what it holds that an episode cannot.
    """

    path: Path
    task: str
    num_episodes: int
    trajectories: Iterator[Trajectory]
    bounds: tuple[list[float], list[float]] | None = None
    control_rate_hz: float | None = None
    notes: list[str] = field(default_factory=list)


def shown(name: object) -> str:
    """A name out of a file, fit to be printed whatever it holds."""
    text = str(name)
    return text if _PLAIN.fullmatch(text) else ascii(text[:100])


def listed(names: list[str]) -> str:
    """Names out of a file, the first few of them."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(map(shown, names[:8])) + more


def regular_file(path: Path) -> Path:
    """The path, if a plain file is there.

    Raises:
        UserError: there is none.
    """
    if not path.is_file():
        what = "is no plain file" if path.exists() else "is missing"
        raise UserError(f"{path} {what}: name the file to import.")
    return path


def check_size(where: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Refuse an array before memory is found for it.

    Raises:
        UserError: it holds no numbers, has more rows than an episode, or is too large.
    """
    if dtype.kind not in "biuf":
        raise UserError(
            f"{where} is of {shown(dtype)}, no plain numbers: leave it out of the file."
        )
    if shape and shape[0] > MAX_STEPS + 1:
        raise UserError(f"{where} has {shape[0]} rows, an episode at most {MAX_STEPS}: cut it.")
    if math.prod(shape) * dtype.itemsize > MAX_BYTES:
        raise UserError(
            f"{where} of shape {shape} has more than {MAX_BYTES} bytes: shorten the episode, or "
            "make its images smaller."
        )


def single_name(rows: NDArray[Any]) -> str:
    """Name of an observation that has none, as worlds of gymnasium call it."""
    return "image" if rows.dtype == np.uint8 and rows.ndim == 4 else "state"


def json_object(text: object) -> dict[str, Any]:
    """A JSON object out of a file of others, {} for whatever else it is."""
    try:
        value = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
