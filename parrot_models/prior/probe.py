"""How well features tell where a named object is: a linear probe, judged on unseen objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot_data.envs.tabletop import TabletopEnv, episode_generator

MAX_ARM_STEPS = 6
TRAIN_FRACTION = 0.8
RIDGE = 1e-3  # of the mean squared feature
ARM_STREAM = 2  # keeps the arm's chance apart from the scene's

Features = NDArray[np.float32]


@dataclass(frozen=True)
class ProbeScenes:
    """Pictures of one task's scenes, the arm in various places.

    Attributes:
        images: uint8 (N, S, S, 3).
        proprioception: float32 (N, 8), where the arm was.
        positions: float64 (N, 2), the target's x and y in m.
    """

    images: NDArray[np.uint8]
    proprioception: NDArray[np.float32]
    positions: NDArray[np.float64]


def draw_probe_scenes(env: TabletopEnv, seed: int, num_scenes: int) -> ProbeScenes:
    """One picture of each of `num_scenes` scenes, after 0 to 6 uniform random actions."""
    images, proprioception, positions = [], [], []
    for index in range(num_scenes):
        observation, _ = env.reset(seed=seed, options={"episode_index": index})
        rng = episode_generator(seed, index).spawn(ARM_STREAM)[-1]
        for _ in range(int(rng.integers(MAX_ARM_STEPS + 1))):
            observation, *_ = env.step(rng.uniform(-1.0, 1.0, 7).astype(np.float32))
        images.append(observation["image"])
        proprioception.append(env.proprioception())
        positions.append(env.object_positions()[0, :2])
    places = np.stack(positions).astype(np.float64)
    return ProbeScenes(np.stack(images), np.stack(proprioception), places)


def probe_error_cm(scenes: ProbeScenes, encode: Callable[[ProbeScenes], Features]) -> float:
    """Mean distance, in cm, of a linear probe's guess from the target, on held-out scenes.

    Ridge regression on standardised features, fitted on the first four fifths of the scenes.

    Args:
        scenes: pictures and positions of one task's target.
        encode: N scenes -> features (N, F).
    """
    features = encode(scenes).astype(np.float64).reshape(len(scenes.images), -1)
    num_train = int(TRAIN_FRACTION * len(features))
    train, test = features[:num_train], features[num_train:]
    mean, std = train.mean(0), train.std(0) + 1e-6
    inputs = np.concatenate([(train - mean) / std, np.ones((num_train, 1))], 1)
    weights = _ridge(inputs, scenes.positions[:num_train], RIDGE * num_train)
    guess = np.concatenate([(test - mean) / std, np.ones((len(test), 1))], 1) @ weights
    return float(100 * np.linalg.norm(guess - scenes.positions[num_train:], axis=1).mean())


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
