"""Measure which objects the arm can lift, and write the library: table and meshes.

A maintainer's command, not a stage: its result is committed beside the code that reads it.
"""

from __future__ import annotations

import colorsys
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pybullet_data

from parrot_data.errors import UserError
from parrot_data.progress import Progress
from parrot_data.stores.outputs.file import file_to_write
from parrot_data.stores.outputs.layout import json_in
from parrot_data.stores.publish import replace_synced
from parrot_data.streams import generator
from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.env import TabletopEnv
from parrot_data.worlds.tabletop.layout import Layout
from parrot_data.worlds.tabletop.objects import (
    LIBRARY_FILE,
    SHAPES_FOLDER,
    Color,
    ObjectSpec,
    Quaternion,
    Split,
    Vector,
    library,
)
from parrot_data.worlds.tabletop.params import DemonstrationParams, TabletopParams
from parrot_data.worlds.tabletop.scripts.grasp import PLAIN_GRASP, GraspPolicy
from parrot_data.worlds.tabletop.shapes.files import meshes, own_shapes, write_meshes
from parrot_data.worlds.tabletop.shapes.solids import Shape
from parrot_data.worlds.tabletop.tasks import Task

LARGEST_EXTENT_M = 0.056  # any turn of it fits between the open fingers
LEAST_ELONGATION = 0.3  # smallest over largest extent: slimmer ones slip through
MAX_FACES = 360  # an image costs time for every triangle in it
MIN_PIXELS = 10  # at 48x48, in the middle of the workspace
MIN_LIFT_RATE = 0.8
SETTLE_STEPS = 24
PARAMS = TabletopParams(
    name="tabletop",
    image_size=48,
    proprioception=False,
    episode_steps=25,
    demonstrations=DemonstrationParams(action_noise=0.0, num_objects=[1, 1]),
)


def measure_objects(
    out: Path, num_trials: int, workers: int, only: Sequence[str], progress: Progress
) -> int:
    """Lift candidates `num_trials` times each, keep those lifted often, write table and meshes.

    Candidates are the random objects of pybullet_data that are neither too slim nor too fine, and
    the shapes of our own.

    Args:
        out: JSON file to write, a row an object. The meshes go to the package's own folder where it
            is the committed library, else beside it, to NAME-shapes.
        num_trials: lifts an object, at random positions and turns, alone on the table.
        workers: processes to measure in; the result does not depend on it.
        only: measure these ids alone, and take the other rows from the library as it is.
        progress: called after each candidate.

    Returns:
        How many objects the table has.

    Raises:
        UserError: an id of `only` is none of a candidate, or `out` or the folder of the meshes is
            not this command's.
    """
    out = file_to_write(out, "measure-objects", _is_own)
    shapes = _shapes_folder(out)
    candidates = _candidates(only, shapes)
    write_meshes(shapes)
    kept = {} if not only else {s.id: s for s in library().values() if s.id not in only}
    measure = partial(_measured, num_trials=num_trials)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done, spec in enumerate(pool.map(measure, candidates), start=1):
            if spec is not None:
                kept[spec.id] = spec
            progress(done, len(candidates), f"{len(kept)} objects kept")
    rows = [json.dumps(_row(kept[name]), sort_keys=True) for name in sorted(kept)]
    temporary = out.with_name(f"{out.name}.tmp")
    temporary.write_text("[\n" + ",\n".join(rows) + "\n]\n")
    replace_synced(temporary, out)
    return len(kept)


def _is_own(path: Path) -> bool:
    rows = json_in(path)
    wanted = {"id", "lift_rate", "rest_height", "split"}
    return isinstance(rows, list) and all(isinstance(r, dict) and r.keys() >= wanted for r in rows)


def _row(spec: ObjectSpec) -> dict[str, object]:
    return {field.name: getattr(spec, field.name) for field in fields(ObjectSpec)}


def _shapes_folder(out: Path) -> Path:
    """Where the meshes are written that go with a table."""
    if out.resolve() == LIBRARY_FILE.resolve():
        return SHAPES_FOLDER
    folder = out.with_name(f"{out.stem}-shapes")
    foreign = (
        sorted(set(folder.iterdir()) - {folder / n for n in meshes()}) if folder.exists() else []
    )
    if foreign:
        raise UserError(
            f"{folder} holds {foreign[0].name}, which measure-objects did not write: name another "
            "--out, or move that file away"
        )
    return folder


@dataclass(frozen=True)
class _Candidate(ObjectSpec):
    """What may become an object.

    Attributes:
        shapes: where the meshes of our own shapes lie.
    """

    shapes: Path

    @property
    def meshes(self) -> tuple[str, ...]:
        """See `ObjectSpec`."""
        return tuple(
            path if self.id.isdigit() else str(self.shapes / Path(path).name)
            for path in super().meshes
        )


def _candidates(only: Sequence[str], folder: Path) -> list[ObjectSpec]:
    """What may become an object, at its scale, not yet at rest."""
    shapes = own_shapes()
    ids = sorted(path.name for path in _meshes_folder().iterdir() if path.is_dir())
    unknown = set(only) - set(ids) - set(shapes)
    if unknown:
        raise UserError(f"no object is called {min(unknown)!r}; shapes: {', '.join(shapes)}")
    ours = [_shape(name, split, shape, folder) for name, (split, shape) in shapes.items()]
    wanted = [*map(_random_object, ids), *ours]
    return [spec for spec in wanted if spec is not None and (not only or spec.id in only)]


def _meshes_folder() -> Path:
    return Path(pybullet_data.getDataPath()) / "random_urdfs"


def _random_object(object_id: str) -> ObjectSpec | None:
    """An object of pybullet_data; None where its shape rules it out."""
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
        id=object_id, split="train", scale=round(scale, 6), lift_rate=0.0,
        center=_vector(center.tolist()), rest_height=LARGEST_EXTENT_M,
        rest_orientation=(0, 0, 0, 1), colors=(_color_of(int(object_id)),),
    )  # fmt: skip


def _color_of(number: int) -> Color:
    """A saturated colour, always the same for one random object."""
    # Multiples of the golden ratio never come close to each other on the circle of hues.
    hue, value = (number * 0.6180339887) % 1.0, 0.70 + 0.30 * ((number * 7) % 10) / 9
    red, green, blue = (round(c, 4) for c in colorsys.hsv_to_rgb(hue, 0.90, value))
    return red, green, blue, 1.0


def _shape(name: str, split: Split, shape: Shape, folder: Path) -> ObjectSpec:
    """A shape of our own: it stands as it was drawn, its middle at the origin."""
    height = max(float(solid.vertices[:, 2].max()) for p in shape for solid in p.solids)
    return _Candidate(
        id=name, split=split, scale=1.0, lift_rate=0.0, center=(0.0, 0.0, 0.0),
        rest_height=height + 0.002, rest_orientation=(0, 0, 0, 1),
        colors=tuple(part.color for part in shape), shapes=folder,
    )  # fmt: skip


def _measured(spec: ObjectSpec, num_trials: int) -> ObjectSpec | None:
    """A candidate at rest, with its lift rate; None where it is too small or too hard to lift."""
    spec = _settled(spec)
    rate = _lift_rate(spec, num_trials)
    if rate < MIN_LIFT_RATE or _num_pixels(spec) < MIN_PIXELS:
        return None
    return replace(spec, lift_rate=rate)


def _settled(spec: ObjectSpec) -> ObjectSpec:
    """The object in the pose in which it comes to rest when dropped."""
    env = _env_of(spec)
    _lay_out(env, spec)
    for _ in range(SETTLE_STEPS):
        env.scene.step()
    body, client = env.scene.objects[spec.id], env.scene.client
    position, orientation = bullet.getBasePositionAndOrientation(body, physicsClientId=client)
    env.close()
    return replace(
        spec, rest_height=round(position[2], 5), rest_orientation=_quaternion(orientation)
    )


def _num_pixels(spec: ObjectSpec) -> int:
    """How many pixels of the agent's image it covers in the middle of the workspace."""
    env = _env_of(spec)
    env.scene.reset(_alone(spec), Layout(np.array([[9.0, 0.0]]), np.zeros(1), None))
    empty = env.scene.render(PARAMS.image_size)
    _lay_out(env, spec)
    covered = (env.scene.render(PARAMS.image_size) != empty).any(axis=2)
    env.close()
    return int(covered.sum())


def _lift_rate(spec: ObjectSpec, num_trials: int) -> float:
    """Share of noise-free scripted grasps that end with the object lifted.

    Gives up once too many failed for the object to be kept.
    """
    env = _env_of(spec)
    num_lifted = 0
    for trial in range(num_trials):
        env.np_random = generator(0, "scene", trial)
        env.reset()
        policy = GraspPolicy(env.scene, spec.id, PLAIN_GRASP)
        is_lifted = False
        for _ in range(PARAMS.episode_steps):
            *_, info = env.step(policy.action().astype(np.float32))
            is_lifted = bool(info["is_success"])
        num_lifted += is_lifted
        if trial + 1 - num_lifted > (1 - MIN_LIFT_RATE) * num_trials:
            break
    env.close()
    return num_lifted / num_trials


def _env_of(spec: ObjectSpec) -> TabletopEnv:
    return TabletopEnv(PARAMS, lambda _rng: _alone(spec), specs={spec.id: spec})


def _lay_out(env: TabletopEnv, spec: ObjectSpec) -> None:
    env.scene.reset(_alone(spec), Layout(np.array([[0.30, 0.0]]), np.zeros(1), None))


def _alone(spec: ObjectSpec) -> Task:
    return Task("pick", "pick", (spec.id,), "")


def _vector(values: Sequence[float]) -> Vector:
    x, y, z = (round(float(v), 5) for v in values)
    return x, y, z


def _quaternion(values: Sequence[float]) -> Quaternion:
    x, y, z, w = (round(float(v), 5) for v in values)
    return x, y, z, w
