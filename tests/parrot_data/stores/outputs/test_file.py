"""A file is written over only by the command that made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from parrot_data.errors import UserError
from parrot_data.stores.outputs.file import begins_with, file_to_write, is_json_with
from parrot_data.worlds.tabletop.library.draw_library import draw_library
from parrot_data.worlds.tabletop.library.measure_objects import measure_objects
from parrot_models.parts import parts

ROOT = Path(__file__).parents[4]


def listen(done: int, total: int, note: str) -> None:
    raise AssertionError("work has begun")


def test_a_file_of_another_kind_is_refused_before_any_work(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.json"
    thesis.write_text('{"chapter": 1}')
    for write in (
        lambda: parts(tmp_path, thesis),
        lambda: draw_library(thesis, listen),
        lambda: measure_objects(thesis, 1, 1, ["003"], listen),
        lambda: file_to_write(thesis, "bench", is_json_with(("rows",))),
        lambda: file_to_write(thesis, "profile", begins_with("# Where")),
    ):
        with pytest.raises(UserError, match=r"thesis\.json is there already"):
            write()
    assert thesis.read_text() == '{"chapter": 1}'


@pytest.mark.parametrize("out", ["", ".", "..", "/"])
def test_a_folder_is_no_file(out: str) -> None:
    with pytest.raises(UserError, match="is a folder"):
        parts(Path("models"), Path(out))


def test_an_earlier_output_is_written_over_where_a_link_leads(tmp_path: Path) -> None:
    link = tmp_path / "parts.json"
    link.symlink_to(tmp_path / "disk" / "parts.json")
    for _ in range(2):
        parts(tmp_path, link)
        assert link.is_symlink()
        assert (tmp_path / "disk" / "parts.json").is_file()


def test_the_committed_files_are_known_again() -> None:
    from parrot_data.worlds.tabletop.library import draw_library, measure_objects

    assert draw_library._is_own(ROOT / "docs/library.png")
    assert measure_objects._is_own(ROOT / "parrot_data/worlds/tabletop/assets/library.json")
    results = ROOT / "benchmarks/results"
    assert is_json_with(("code", "machine", "rows"))(results / "results.json")
    assert is_json_with(("code", "machine", "runs", "task"))(results / "learning.json")
    for name, text in (
        ("results.md", "# Benchmarks\n"),
        ("profile.md", "# Where a second goes\n"),
        ("learning.md", "# Learning "),
    ):
        assert begins_with(text)(results / name)


def test_the_committed_reports_are_known_again() -> None:
    from parrot_models.report import OUTPUT
    from parrot_models.report_study import FIGURES

    for folder in (ROOT / "report", ROOT / "results/comparison", ROOT / "results/paper_lite"):
        found = OUTPUT.files(folder) or ()
        assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} <= {
            *found
        }
    for name in ("dataset_size", "exploration", "mismatch"):
        figures = (ROOT / "results" / name / "figures").iterdir()
        assert {path.stem for path in figures} <= {*FIGURES}
