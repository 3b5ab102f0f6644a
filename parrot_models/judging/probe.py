"""How well features tell where a named object is: a linear probe, judged on unseen objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.streams import generator
from parrot_data.worlds.tabletop.env import TabletopEnv, make_task_env
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.networks.device import to_device

PROBE_TASKS = ("pick-bar", "pick-sculpture", "pick-cup")  # two unseen objects each
CHUNK = 1024  # pictures encoded at a time
MAX_ARM_STEPS = 6
TRAIN_FRACTION = 0.8
RIDGE = 1e-3  # of the mean squared feature

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


Encode = Callable[[ProbeScenes], Features]


def probe_errors_cm(
    environment: EnvironmentParams, encoders: Mapping[str, Encode], seed: int, num_scenes: int
) -> dict[str, float]:
    """Mean of `probe_error_cm` over the tasks, of each encoder, and of pixels and a mean guess.

    Args:
        environment: the world.
        encoders: by the names of the result.
        seed: of the scenes.
        num_scenes: scenes a task.
    """
    encoders = {
        **encoders,
        "pixels": lambda scenes: scenes.images.astype(np.float32) / 255.0,
        "mean_guess": lambda scenes: np.zeros((len(scenes.images), 1), np.float32),
    }
    errors: dict[str, list[float]] = {name: [] for name in encoders}
    for task in PROBE_TASKS:
        env = make_task_env(task, environment)
        scenes = draw_probe_scenes(env, seed, num_scenes)
        env.close()
        for name, encode in encoders.items():
            errors[name].append(probe_error_cm(scenes, encode))
    return {name: float(np.mean(values)) for name, values in errors.items()}


def encoded(encode: Callable[[Tensor, Tensor], Tensor], device: torch.device) -> Encode:
    """An encoder of images and proprioception on a device, as one of scenes, chunk by chunk."""

    @torch.inference_mode()
    def encode_scenes(scenes: ProbeScenes) -> Features:
        images = torch.split(torch.from_numpy(scenes.images), CHUNK)
        proprioception = torch.split(torch.from_numpy(scenes.proprioception), CHUNK)
        chunks = [
            encode(to_device(seen, device), to_device(felt, device))
            for seen, felt in zip(images, proprioception, strict=True)
        ]
        return torch.cat(chunks).float().cpu().numpy()

    return encode_scenes


def draw_probe_scenes(env: TabletopEnv, seed: int, num_scenes: int) -> ProbeScenes:
    """One picture of each of `num_scenes` scenes, after 0 to 6 uniform random actions."""
    images, proprioception, positions = [], [], []
    for index in range(num_scenes):
        observation, _ = env.reset(seed=seed, options={"episode_index": index})
        rng = generator(seed, "probe: arm", index)
        for _ in range(int(rng.integers(MAX_ARM_STEPS + 1))):
            observation, *_ = env.step(rng.uniform(-1.0, 1.0, 7).astype(np.float32))
        images.append(observation["image"])
        proprioception.append(env.proprioception())
        positions.append(env.object_positions()[0, :2])
    places = np.stack(positions).astype(np.float64)
    return ProbeScenes(np.stack(images), np.stack(proprioception), places)


def probe_error_cm(scenes: ProbeScenes, encode: Encode) -> float:
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
