"""An image of the whole library, each thing close by and as the agent sees it.

A maintainer's command, not a stage: whoever adds a shape looks at it here.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from parrot_data.progress import Progress
from parrot_data.stores.outputs.file import file_to_write
from parrot_data.stores.publish import replace_synced
from parrot_data.worlds.tabletop.bodies import Bodies
from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.containers import CONTAINERS
from parrot_data.worlds.tabletop.drawer import DRAWERS, Drawers
from parrot_data.worlds.tabletop.layout import Layout
from parrot_data.worlds.tabletop.objects import Split, library
from parrot_data.worlds.tabletop.scene import Scene
from parrot_data.worlds.tabletop.table import add_visible_table
from parrot_data.worlds.tabletop.tasks import Task

SIDE = 144  # of both images in a cell, pixels: three times what the agent sees
AGENT_SIZE = 48
CAPTION, GAP = 18, 6  # pixels
COLUMNS = 8
MARKER = ("Software", "parrot contact-sheet")
PLACE, TURN = (0.31, 0.03), 1.0  # m and rad; clear of the arm, and no face seen from straight ahead
PAPER, INK = (255, 255, 255), {"train": (60, 60, 60), "test": (190, 20, 20)}


@dataclass(frozen=True)
class _Entry:
    """One object, container or drawer."""

    kind: Literal["object", "container", "drawer"]
    name: str
    split: Split


def draw_library(out: Path, progress: Progress) -> int:
    """Draw one sheet: a cell an object, container or drawer, its name and split below two images.

    The left image is close by; the right one is 48x48 through the agent's camera, the arm at
    home, three times enlarged. What is held out comes first.

    Args:
        out: image file; its ending says the format.
        progress: called after each cell.

    Returns:
        How many cells it has.

    Raises:
        UserError: `out` is a folder, or a file that this command did not write.
    """
    out = file_to_write(out, "contact-sheet", _is_own)
    entries = _entries()
    rows = -(-len(entries) // COLUMNS)
    width, height = 2 * SIDE + GAP, SIDE + CAPTION
    sheet = Image.new("RGB", (COLUMNS * (width + GAP), rows * (height + GAP)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    with closing(Scene(library())) as scene:
        for number, entry in enumerate(entries):
            left = number % COLUMNS * (width + GAP)
            top = number // COLUMNS * (height + GAP)
            sheet.paste(Image.fromarray(_close_by(entry)), (left, top))
            seen = Image.fromarray(_as_agent(scene, entry))
            enlarged = seen.resize((SIDE, SIDE), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (left + SIDE + GAP // 2, top))
            caption = f"{entry.name} ({entry.split})"
            draw.text((left + 2, top + SIDE + 1), caption, INK[entry.split], font)
            progress(number + 1, len(entries), entry.name)
    temporary = out.with_name(f".tmp-{out.name}")  # the ending says the format
    marker = PngInfo()
    marker.add_text(*MARKER)
    sheet.save(temporary, pnginfo=marker)
    replace_synced(temporary, out)
    return len(entries)


def _is_own(path: Path) -> bool:
    """Whether an image says that it was drawn here; those of earlier versions do not."""
    try:
        with Image.open(path) as image:
            return image.info.get(MARKER[0]) == MARKER[1]
    except OSError:
        return False


def _entries() -> list[_Entry]:
    """What is held out, then what is trained on; objects last."""
    entries = [_Entry("container", spec.name, spec.split) for spec in CONTAINERS.values()]
    entries += [_Entry("drawer", spec.name, spec.split) for spec in DRAWERS.values()]
    entries += [_Entry("object", spec.id, spec.split) for spec in library().values()]
    return sorted(entries, key=lambda entry: entry.split != "test")


def _close_by(entry: _Entry) -> NDArray[np.uint8]:
    """Image (SIDE, SIDE, 3) of it alone on the table, near enough to fill most of it."""
    client = bullet.connect(bullet.DIRECT)
    add_visible_table(client)
    if entry.kind == "container":
        Bodies(client).add_container(entry.name, PLACE)
    elif entry.kind == "drawer":
        Drawers(client).add(entry.name, PLACE)
    else:
        Bodies(client).add_object(library()[entry.name], PLACE, TURN)
    distance = 0.15 if entry.kind == "object" else 0.25
    view = bullet.computeViewMatrixFromYawPitchRoll((*PLACE, 0.026), distance, 90.0, -35.0, 0, 2)
    projection = bullet.computeProjectionMatrixFOV(45.0, 1.0, 0.02, 1.5)
    _, _, pixels, _, _ = bullet.getCameraImage(
        SIDE, SIDE, view, projection, shadow=0, lightDirection=(0.4, 0.3, 1.0),
        renderer=bullet.ER_TINY_RENDERER, physicsClientId=client,
    )  # fmt: skip
    bullet.disconnect(client)
    return np.array(pixels, dtype=np.uint8).reshape(SIDE, SIDE, 4)[:, :, :3]


def _as_agent(scene: Scene, entry: _Entry) -> NDArray[np.uint8]:
    """Image (48, 48, 3) of the same as an episode begins."""
    place = np.array(PLACE)
    if entry.kind == "container":
        task, layout = Task("", "place", (), entry.name), Layout(place[None][:0], place[:0], place)
    else:
        task = Task("", "drawer" if entry.kind == "drawer" else "pick", (entry.name,), "")
        layout = Layout(place[None], np.full(1, TURN), None)
    scene.reset(task, layout)
    return scene.render(AGENT_SIZE)
