"""Results appear whole or not at all, and no crash loses the work or the older result."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import files_of

from parrot_data.errors import UserError
from parrot_data.stores import publish as publish_module
from parrot_data.stores.publish import (
    open_work,
    publish,
    read_json,
    sha256_sources,
    write_json,
)


class Killed(BaseException):
    """Stands for kill -9."""


def test_published_folder_holds_the_work_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    work = open_work(out, {"seed": 1})
    (work / "result").write_text("new")
    assert not out.exists()
    publish(work, out)
    assert files_of(out) == {"result": b"new"}
    assert list(out.parent.iterdir()) == [out]


def test_same_fingerprint_resumes_and_another_starts_anew(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (open_work(out, {"seed": 1, "range": (1, 2)}) / "half").write_text("done")
    assert (open_work(out, {"seed": 1, "range": (1, 2)}) / "half").exists()
    assert not (open_work(out, {"seed": 2, "range": (1, 2)}) / "half").exists()


def test_half_discarded_work_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_folder: Path) -> None:
        raise Killed

    (open_work(tmp_path / "out", {"seed": 1}) / "half").write_text("of it is gone")
    with monkeypatch.context() as patch:
        patch.setattr(publish_module.shutil, "rmtree", die)
        with pytest.raises(Killed):
            open_work(tmp_path / "out", {"seed": 2})
    assert not (open_work(tmp_path / "out", {"seed": 1}) / "half").exists()


@pytest.mark.parametrize("step", range(6))
def test_a_crash_at_any_step_of_publishing_loses_nothing(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, steps = tmp_path / "out", iter(range(100))

    def dying(act):
        def or_die(*args, **kwargs):
            if next(steps) == step:
                raise Killed
            return act(*args, **kwargs)

        return or_die

    publish_old = open_work(out, {"seed": 1})
    (publish_old / "result").write_text("old")
    publish(publish_old, out)
    work = open_work(out, {"seed": 2})
    (work / "result").write_text("new")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr(Path, "unlink", dying(Path.unlink))
        patch.setattr(publish_module.shutil, "rmtree", dying(publish_module.shutil.rmtree))
        try:
            publish(work, out)
        except Killed:
            work = open_work(out, {"seed": 2})
            if out.exists():
                assert (out / "result").read_text() in {"old", "new"}
            if not (work / "result").exists():
                # Only once the new result stands.
                assert files_of(out) == {"result": b"new"}
                return
        else:
            assert step >= 4, "every step of publishing must have had its crash"
            return
    publish(work, out)
    assert files_of(out) == {"result": b"new"}
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_in_the_place_of_the_folder_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    with pytest.raises(UserError, match="out is a file"):
        open_work(tmp_path / "out", {})


def test_json_is_sorted_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"b": [1, 2.5], "a": "é"})
    assert path.read_text().index('"a"') < path.read_text().index('"b"')
    assert read_json(path) == {"a": "é", "b": [1, 2.5]}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, "{", b"\xff\xfe"])
def test_unreadable_json_is_named(tmp_path: Path, content: str | bytes | None) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=r"x\.json"):
        read_json(path)


def test_sources_differ_by_name_and_content_but_not_by_caches(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    first = sha256_sources(tmp_path)
    (tmp_path / "a.pyc").write_text("cache")
    assert sha256_sources(tmp_path) == first
    (tmp_path / "a.py").write_text("2")
    second = sha256_sources(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({first, second, sha256_sources(tmp_path)}) == 3
