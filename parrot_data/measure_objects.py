"""Measure which of pybullet_data's random objects the arm can lift, and write the library.

A maintainer's command, not a stage: its result is committed beside the code that reads it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pybullet_data

from parrot_data.envs.bullet import bullet
from parrot_data.envs.layout import Layout
from parrot_data.envs.objects import ObjectSpec, Quaternion, Split, Vector
from parrot_data.envs.params import EnvironmentParams
from parrot_data.envs.tabletop import TabletopEnv
from parrot_data.envs.tasks import Task
from parrot_data.progress import Progress
from parrot_data.scripted.grasp import PLAIN_GRASP, GraspPolicy

LARGEST_EXTENT_M = 0.056  # any turn of it fits between the open fingers
LEAST_ELONGATION = 0.4  # smallest over largest extent: slimmer ones are invisible or slip through
MAX_FACES = 360  # a picture costs time for every triangle in it
MIN_LIFT_RATE = 0.8
SETTLE_STEPS = 24
TEST_EVERY = 4  # of the kept objects, every fourth is held out
PARAMS = EnvironmentParams(image_size=16, proprioception=False, episode_steps=25)


def measure_objects(out: Path, num_trials: int, num_objects: int, progress: Progress) -> int:
    """Lift candidates `num_trials` times each, keep those lifted often, write the table.

    Args:
        out: JSON file to write, a row an object.
        num_trials: lifts an object, at random positions and turns, alone on the table.
        num_objects: stop once this many are kept.
        progress: told of each kept object.

    Returns:
        How many objects were kept.
    """
    kept: list[ObjectSpec] = []
    for object_id in sorted(p.name for p in _meshes_folder().iterdir() if p.is_dir()):
        spec = _candidate(object_id)
        if spec is None:
            continue
        spec = _settled(spec)
        rate = _lift_rate(spec, num_trials)
        if rate >= MIN_LIFT_RATE:
            split: Split = "test" if len(kept) % TEST_EVERY == TEST_EVERY - 1 else "train"
            kept.append(replace(spec, lift_rate=rate, split=split))
            progress(len(kept), num_objects, f"{object_id} lifted {rate:.0%}")
        if len(kept) == num_objects:
            break
    rows = [json.dumps(asdict(spec), sort_keys=True) for spec in kept]
    out.write_text("[\n" + ",\n".join(rows) + "\n]\n")
    return len(kept)


def _meshes_folder() -> Path:
    return Path(pybullet_data.getDataPath()) / "random_urdfs"


def _candidate(object_id: str) -> ObjectSpec | None:
    """The object at its scale, not yet at rest; None where its shape rules it out."""
    lines = (_meshes_folder() / object_id / f"{object_id}.obj").read_text().splitlines()
    vertices = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], dtype=float)
    extent = np.ptp(vertices, axis=0)
    num_faces = sum(line.startswith("f ") for line in lines)
    if not np.isfinite(extent).all() or num_faces > MAX_FACES:
        return None
    if extent.min() < LEAST_ELONGATION * extent.max():
        return None
    scale = LARGEST_EXTENT_M / float(extent.max())
    center = (vertices.max(axis=0) + vertices.min(axis=0)) / 2 * scale
    return ObjectSpec(
        object_id,
        "train",
        round(scale, 6),
        0.0,
        _vector(center.tolist()),
        LARGEST_EXTENT_M,
        (0, 0, 0, 1),
    )


def _settled(spec: ObjectSpec) -> ObjectSpec:
    """The object in the pose in which it comes to rest when dropped."""
    env = TabletopEnv(PARAMS, lambda _rng: _alone(spec), specs={spec.id: spec})
    layout = Layout(np.array([[0.30, 0.0]]), np.zeros(1), None)
    env.scene.reset(_alone(spec), layout)
    for _ in range(SETTLE_STEPS):
        env.scene.step()
    body, client = env.scene.objects[spec.id], env.scene.client
    position, orientation = bullet.getBasePositionAndOrientation(body, physicsClientId=client)
    env.close()
    return replace(
        spec, rest_height=round(position[2], 5), rest_orientation=_quaternion(orientation)
    )


def _lift_rate(spec: ObjectSpec, num_trials: int) -> float:
    """Share of noise-free scripted grasps that end with the object lifted."""
    env = TabletopEnv(PARAMS, lambda _rng: _alone(spec), specs={spec.id: spec})
    num_lifted = 0
    for trial in range(num_trials):
        env.reset(seed=0, options={"episode_index": trial})
        policy = GraspPolicy(env.scene, spec.id, PLAIN_GRASP)
        is_lifted = False
        for _ in range(PARAMS.episode_steps):
            *_, info = env.step(policy.action().astype(np.float32))
            is_lifted = bool(info["is_success"])
        num_lifted += is_lifted
    env.close()
    return num_lifted / num_trials


def _alone(spec: ObjectSpec) -> Task:
    return Task("pick", "pick", (spec.id,), "")


def _vector(values: Sequence[float]) -> Vector:
    x, y, z = (round(float(v), 5) for v in values)
    return x, y, z


def _quaternion(values: Sequence[float]) -> Quaternion:
    x, y, z, w = (round(float(v), 5) for v in values)
    return x, y, z, w
