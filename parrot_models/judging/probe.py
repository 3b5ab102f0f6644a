"""How well features tell what no policy is told: a linear probe of a privileged array."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.episodes.rollout import episode_seed
from parrot_data.errors import UserError
from parrot_data.streams import generator
from parrot_data.worlds.world import Env, World
from parrot_models.judging.params import ProbeParams
from parrot_models.judging.policies import Box
from parrot_models.networks.device import to_device
from parrot_models.networks.observations import Observations

CHUNK_BYTES = 8 << 20  # of observations encoded at a time
MAX_SIDE = 64  # of images whose pixels are themselves a reference: more are left out evenly
TRAIN_FRACTION = 0.8
RIDGE = 1e-3  # of the mean squared feature

Features = NDArray[Any]  # (N, F)


@dataclass(frozen=True, eq=False)
class ProbeScenes:
    """What was seen of a task's scenes, and what was not told.

    Attributes:
        observations: (N, ...) each, by name.
        targets: float64 (N, D), in the units of the privileged array.
    """

    observations: Mapping[str, NDArray[Any]]
    targets: NDArray[np.float64]


Encode = Callable[[ProbeScenes], Features]


def probe_errors(scenes: ProbeScenes, encoders: Mapping[str, Encode]) -> dict[str, float]:
    """`probe_error` of each encoder that has any features, and of what needs none.

    Those are the pixels, the vectors and a guess of the mean.
    """
    features = {name: encode(scenes) for name, encode in {**encoders, **_REFERENCES}.items()}
    errors = {
        name: probe_error(values, scenes.targets)
        for name, values in features.items()
        if values.shape[1]
    }
    nothing = np.zeros((len(scenes.targets), 1))
    return {**errors, "mean_guess": probe_error(nothing, scenes.targets)}


def probe_error(features: Features, targets: NDArray[np.float64]) -> float:
    """Mean distance of a linear probe's guess from targets (N, D), on held-out scenes.

    Ridge regression on standardised features (N, F), fitted on the first four fifths of the scenes.
    """
    features = features.astype(np.float64)
    num_train = int(TRAIN_FRACTION * len(features))
    train, test = features[:num_train], features[num_train:]
    mean, std = train.mean(0), train.std(0) + 1e-6
    inputs = np.concatenate([(train - mean) / std, np.ones((num_train, 1))], 1)
    weights = _ridge(inputs, targets[:num_train], RIDGE * num_train)
    guess = np.concatenate([(test - mean) / std, np.ones((len(test), 1))], 1) @ weights
    return float(np.linalg.norm(guess - targets[num_train:], axis=1).mean())


def encoded(encode: Callable[[Observations], Tensor], device: torch.device) -> Encode:
    """An encoder of observations on a device, as one of scenes, chunk by chunk."""

    @torch.inference_mode()
    def encode_scenes(scenes: ProbeScenes) -> Features:
        seen = scenes.observations
        row_bytes = sum(math.prod(array.shape[1:]) * array.itemsize for array in seen.values())
        size = max(1, CHUNK_BYTES // row_bytes)
        chunks = []
        for start in range(0, len(scenes.targets), size):
            rows = {name: torch.from_numpy(v[start : start + size]) for name, v in seen.items()}
            here = {name: to_device(tensor, device) for name, tensor in rows.items()}
            chunks.append(encode(here).float().cpu().numpy())
        return np.concatenate(chunks)

    return encode_scenes


def check_probe(params: ProbeParams, world: World) -> str:
    """Why a world's array cannot be probed for, "" if it can.

    Raises:
        UserError: the array is there, but not the numbers or tasks that params name.
    """
    privileged = world.spec.privileged
    if params.array not in privileged:
        known = ", ".join(sorted(privileged)) or "none"
        return f"the world has no privileged array {params.array} (it has: {known})"
    for task in params.tasks:
        if task not in world.tasks:
            raise UserError(
                f"judge.probe.tasks: {task!r} is none of the world's tasks "
                f"({', '.join(world.tasks)}): name some of these, or set judge.probe to null"
            )
    size = math.prod(privileged[params.array].shape)
    if max(params.dims) >= size:
        raise UserError(
            f"judge.probe.dims names {max(params.dims)}, but {params.array} has {size} numbers: "
            f"choose from 0 to {size - 1}"
        )
    return ""


def draw_scenes(env: Env, params: ProbeParams, box: Box, seed: int) -> ProbeScenes:
    """Observations of scenes, each after some uniformly random actions in a box.

    Raises:
        UserError: the environment does not tell the array, or it is not finite.
    """
    observations, targets = [], []
    for index in range(params.scenes):
        observation, info = env.reset(seed=episode_seed(seed, index))
        rng = generator(seed, "judge: probe", index)
        is_over = False
        for _ in range(int(rng.integers(params.max_random_steps + 1))):
            if not is_over:
                action = rng.uniform(*box).astype(np.float32)
                observation, _, terminated, truncated, info = env.step(action)
                is_over = terminated or truncated
        observations.append(observation)
        targets.append(_target(info, params))
    stacked = {name: np.stack([seen[name] for seen in observations]) for name in observations[0]}
    return ProbeScenes(stacked, np.stack(targets))


def _target(info: Mapping[str, Any], params: ProbeParams) -> NDArray[np.float64]:
    if params.array not in info.get("privileged", {}):
        raise UserError(
            f"the environments of judge.probe.tasks do not tell {params.array}, which the spec of "
            "their world names: give it in their info under privileged, or set judge.probe to null"
        )
    target = np.ravel(info["privileged"][params.array])[params.dims].astype(np.float64)
    if not np.isfinite(target).all():
        raise UserError(
            f"judge.probe: {params.array} is not finite at dims {params.dims} in a scene of "
            f"{', '.join(params.tasks)}: choose other dims or tasks"
        )
    return target


def _pixels(scenes: ProbeScenes) -> Features:
    """Of all images, (N, F), in shares of the range."""
    arrays = [array for array in scenes.observations.values() if array.dtype == np.uint8]
    parts = [_thinned(images).reshape(len(images), -1) / np.float32(255.0) for images in arrays]
    return _joined(parts, len(scenes.targets))


def _thinned(images: NDArray[Any]) -> NDArray[Any]:
    step = -(-max(images.shape[1:3]) // MAX_SIDE)
    return images[:, ::step, ::step]


def _vectors(scenes: ProbeScenes) -> Features:
    arrays = [array for array in scenes.observations.values() if array.dtype != np.uint8]
    return _joined(arrays, len(scenes.targets))


def _joined(parts: list[NDArray[Any]], num_rows: int) -> Features:
    return np.concatenate(parts, axis=1) if parts else np.empty((num_rows, 0), np.float32)


_REFERENCES: Mapping[str, Encode] = {"pixels": _pixels, "vectors": _vectors}


def _ridge(
    inputs: NDArray[np.floating], targets: NDArray[np.floating], penalty: float
) -> NDArray[np.floating]:
    """argmin_W |inputs W - targets|^2 + penalty |W|^2, in the smaller of its two forms."""
    num_rows, num_columns = inputs.shape
    if num_rows < num_columns:  # pixels: hundreds of scenes, thousands of columns
        dual = np.linalg.solve(inputs @ inputs.T + penalty * np.eye(num_rows), targets)
        weights = inputs.T @ dual
    else:
        gram = inputs.T @ inputs + penalty * np.eye(num_columns)
        weights = np.linalg.solve(gram, inputs.T @ targets)
    return weights
