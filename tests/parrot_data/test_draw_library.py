"""The contact sheet has everything in the library, and everything on it can be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from parrot_data.worlds.tabletop.containers import CONTAINERS
from parrot_data.worlds.tabletop.drawer import DRAWERS
from parrot_data.worlds.tabletop.library.draw_library import (
    CAPTION,
    COLUMNS,
    GAP,
    SIDE,
    draw_library,
)
from parrot_data.worlds.tabletop.objects import library


def test_every_object_and_container_has_a_cell(tmp_path: Path) -> None:
    told: list[str] = []
    count = draw_library(tmp_path / "sheet.png", lambda _done, _total, name: told.append(name))
    assert sorted(told) == sorted([*library(), *CONTAINERS, *DRAWERS])
    assert count == len(told)
    sheet = np.array(Image.open(tmp_path / "sheet.png"))
    for number, name in enumerate(told):
        top = number // COLUMNS * (SIDE + CAPTION + GAP)
        left = number % COLUMNS * (2 * SIDE + 2 * GAP)
        close_by = sheet[top : top + SIDE, left : left + SIDE].reshape(-1, 3)
        table = np.median(close_by, axis=0)
        assert (np.abs(close_by - table) > 12).any(axis=1).mean() > 0.02, name
