"""The committed library is what the maintainer's command writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from parrot_data.errors import UserError
from parrot_data.progress import silent
from parrot_data.worlds.tabletop.library.measure_objects import measure_objects
from parrot_data.worlds.tabletop.objects import LIBRARY_FILE, SHAPES_FOLDER, library


def test_measuring_an_object_again_gives_the_committed_table(tmp_path: Path) -> None:
    out = tmp_path / "library.json"
    before = contents(SHAPES_FOLDER)
    measure_objects(out, num_trials=40, workers=1, only=["bar", "012"], progress=silent)
    assert out.read_bytes() == LIBRARY_FILE.read_bytes()
    assert contents(SHAPES_FOLDER) == before  # not even written anew
    shapes = {name: text for name, (text, _) in contents(tmp_path / "library-shapes").items()}
    assert shapes == {name: text for name, (text, _) in before.items()}


def test_a_folder_of_somebody_elses_meshes_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "library-shapes").mkdir()
    mine = tmp_path / "library-shapes" / "mine.obj"
    mine.write_text("v 0 0 0\n")
    with pytest.raises(UserError, match=r"library-shapes holds mine.obj, which .* did not write"):
        measure_objects(tmp_path / "library.json", 1, 1, ["bar"], silent)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["mine.obj"]


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_an_object_that_is_hardly_ever_lifted_is_left_out(tmp_path: Path) -> None:
    out = tmp_path / "library.json"
    measure_objects(out, num_trials=40, workers=1, only=["217"], progress=silent)
    assert out.read_bytes() == LIBRARY_FILE.read_bytes()
    assert "217" not in library()


def test_an_unknown_object_is_named() -> None:
    with pytest.raises(UserError, match=r"'spoon'.*cup"):
        measure_objects(Path("unused.json"), 1, 1, ["spoon"], silent)
