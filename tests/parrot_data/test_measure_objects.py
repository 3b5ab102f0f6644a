"""The committed library is what the maintainer's command writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from parrot_data.errors import UserError
from parrot_data.progress import silent
from parrot_data.worlds.tabletop.library.measure_objects import measure_objects
from parrot_data.worlds.tabletop.objects import LIBRARY_FILE, library


def test_measuring_an_object_again_gives_the_committed_table(tmp_path: Path) -> None:
    out = tmp_path / "library.json"
    measure_objects(out, num_trials=40, workers=1, only=["bar", "012"], progress=silent)
    assert out.read_bytes() == LIBRARY_FILE.read_bytes()


def test_an_object_that_is_hardly_ever_lifted_is_left_out(tmp_path: Path) -> None:
    out = tmp_path / "library.json"
    measure_objects(out, num_trials=40, workers=1, only=["217"], progress=silent)
    assert out.read_bytes() == LIBRARY_FILE.read_bytes()
    assert "217" not in library()


def test_an_unknown_object_is_named() -> None:
    with pytest.raises(UserError, match=r"'spoon'.*cup"):
        measure_objects(Path("unused.json"), 1, 1, ["spoon"], silent)
