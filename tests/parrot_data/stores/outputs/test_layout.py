"""Nothing is written to but what is absent, empty, or the same stage's own earlier output."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import files_of
from test_work import OUTPUT, begin, make

from parrot_data.errors import UserError
from parrot_data.stores.outputs.layout import matches, output_of
from parrot_data.stores.outputs.work import open_work


def assert_refused(out: Path, *words: str, inputs: tuple[Path, ...] = ()) -> None:
    with pytest.raises(UserError) as caught, open_work(out, OUTPUT, {}, inputs):
        pass
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("out", ["", ".", "..", "/", "../..", "../here"])
def test_the_folder_one_is_in_is_no_output(
    tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert_refused(Path(out), "called in")
    assert files_of(tmp_path) == {}
    assert list(tmp_path.iterdir()) == [tmp_path / "here"]


@pytest.mark.parametrize("name", ["thesis/ch1.tex", "ch1.tex", ".git/config", "result", "deep/x"])
def test_a_users_folder_is_refused_naming_the_first_entry(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    assert_refused(tmp_path / "mine", name, "parrot test")
    assert files_of(tmp_path) == {f"mine/{name}": b"precious"}


@pytest.mark.parametrize("name", ["notes.txt", "a.txt", "deep/notes/a.txt", "empty/"])
def test_an_earlier_output_that_holds_a_users_file_is_refused(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    make(out, "old", deep=True)
    path = out / name
    if name.endswith("/"):
        path.mkdir()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_text("precious")
    before = files_of(tmp_path)
    assert_refused(out, name.rstrip("/"))
    assert files_of(tmp_path) == before


def test_an_output_of_another_stage_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "out", "old")
    other = output_of("other", "made.json", ("else",), ("result",))
    with pytest.raises(UserError, match=r"parrot other"), open_work(tmp_path / "out", other, {}):
        pass


def test_an_empty_folder_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    make(tmp_path / "out", "new")


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    assert_refused(tmp_path / "out", "is a file")
    assert files_of(tmp_path) == {"out": b"precious"}


@pytest.mark.parametrize(
    ("out", "how"),
    [
        ("a/b", "is the input"),
        ("a", "lies above"),
        ("a/b/c/d", "lies in"),
        ("link", "is the input"),
    ],
)
def test_an_output_has_nothing_to_do_with_an_input(tmp_path: Path, out: str, how: str) -> None:
    source = tmp_path / "a" / "b"
    source.mkdir(parents=True)
    (tmp_path / "link").symlink_to(source)
    assert_refused(tmp_path / out, how, inputs=(source,))
    assert list(source.iterdir()) == []


def test_a_link_stays_and_what_it_points_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "out"
    link.symlink_to(tmp_path / "disk" / "out")
    for content in ("new", "newer"):
        make(link, content)
        assert link.is_symlink()
        assert (tmp_path / "disk" / "out" / "result").read_text() == content
    assert list((tmp_path / "disk").iterdir()) == [tmp_path / "disk" / "out"]


@pytest.mark.parametrize("name", ["out.partial", "out.old.partial", "out.aside.partial"])
def test_a_users_folder_beside_the_output_stays(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "mine.txt"
    path.parent.mkdir()
    path.write_text("precious")
    if name == "out.partial":
        assert_refused(tmp_path / "out", "mine.txt", "out.partial")
    else:
        make(tmp_path / "out", "new")
    assert path.read_text() == "precious"


def test_a_users_folder_is_not_in_the_way_of_what_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "out.aside.partial").mkdir()
    begin(tmp_path / "out", 1)
    assert_refused(tmp_path / "out", "out.aside.partial")
    assert (tmp_path / "out.partial" / "half").exists()


def test_a_pattern_stands_for_names_of_its_own_depth() -> None:
    assert matches("figures/a.png", ["figures/*.png"])
    for name in ("figures/b/a.png", "a.png", "figures/a.txt", "my/figures/a.png"):
        assert not matches(name, ["figures/*.png"])
