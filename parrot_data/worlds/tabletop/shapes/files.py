"""The shapes as the simulator reads them: Wavefront files, committed beside the library."""

from __future__ import annotations

from pathlib import Path

from parrot_data.worlds.tabletop.objects import Split
from parrot_data.worlds.tabletop.shapes.containers import container_shapes
from parrot_data.worlds.tabletop.shapes.solids import Shape, as_obj
from parrot_data.worlds.tabletop.shapes.training import training_shapes
from parrot_data.worlds.tabletop.shapes.unseen import unseen_shapes


def own_shapes() -> dict[str, tuple[Split, Shape]]:
    """Split and parts of every object of our own making, by name."""
    shapes: dict[str, tuple[Split, Shape]] = {}
    shapes |= {name: ("test", shape) for name, shape in unseen_shapes().items()}
    shapes |= {name: ("train", shape) for name, shape in training_shapes().items()}
    return shapes


def meshes() -> dict[str, str]:
    """Text of every mesh file by its name, objects and containers."""
    shapes = {name: shape for name, (_, shape) in own_shapes().items()} | container_shapes()
    return {
        f"{name}-{number}.obj": as_obj(part.solids)
        for name, shape in shapes.items()
        for number, part in enumerate(shape)
    }


def write_meshes(folder: Path) -> None:
    """Write every mesh, and remove what is left of shapes that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = meshes()
    for stale in set(folder.glob("*.obj")) - {folder / name for name in texts}:
        stale.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text)
