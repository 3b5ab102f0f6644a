"""Results appear whole or not at all; no crash loses work or the older result; one at a time."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import files_of

from parrot_data.errors import UserError
from parrot_data.stores.outputs import work as work_module
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.lock import LOCK
from parrot_data.stores.outputs.work import open_work, tidy
from parrot_data.stores.publish import write_json

OUTPUT = output_of("test", "made.json", ("made",), ("result", "deep/*"), scratch=("half", "cache"))
SEED_1 = {"params": {"seed": 1}}


class Killed(BaseException):
    """Stands for kill -9."""


def make(out: Path, content: str, *, deep: bool = False) -> None:
    with open_work(out, OUTPUT, {"of": content}) as work:
        fill(work.folder, content, deep=deep)
        work.publish()


def fill(folder: Path, content: str, *, deep: bool = False) -> None:
    (folder / "result").write_text(content)
    write_json(folder / "made.json", {"made": content})
    (folder / "half").write_text("checkpoint")
    if deep:
        (folder / "deep").mkdir(exist_ok=True)
        (folder / "deep" / "down").write_text(content)


def is_of(out: Path, content: str) -> bool:
    files = files_of(out)
    return files["result"] == content.encode() and json.loads(files["made.json"])["made"] == content


def begin(out: Path, seed: int) -> None:
    """Leave unfinished work, as a killed process does."""
    with open_work(out, OUTPUT, {"params": {"seed": seed}}) as work:
        (work.folder / "half").write_text(f"of seed {seed}")


def test_published_folder_holds_the_result_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    make(out, "new", deep=True)
    assert files_of(out).keys() == {"result", "made.json", "deep/down"}
    assert list(out.parent.iterdir()) == [out]
    make(out, "newer")
    assert files_of(out).keys() == {"result", "made.json"}
    assert list(out.parent.iterdir()) == [out]


def test_same_fingerprint_resumes_and_another_sets_aside_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    begin(out, 1)
    with open_work(out, OUTPUT, {"params": {"seed": 1}}) as work:
        assert (work.folder / "half").read_text() == "of seed 1"
    assert not caplog.messages
    begin(out, 2)
    (said,) = caplog.messages
    assert "params.seed" in said
    assert (tmp_path / "out.aside.partial" / "half").read_text() == "of seed 1"
    begin(out, 3)
    assert (tmp_path / "out.aside.partial" / "half").read_text() == "of seed 2"
    assert {path.name for path in tmp_path.iterdir()} == {"out.partial", "out.aside.partial"}


def test_work_that_made_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Killed), open_work(tmp_path / "out", OUTPUT, {}):
        raise Killed
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_no_stage_makes_is_not_published(tmp_path: Path) -> None:
    with open_work(tmp_path / "out", OUTPUT, {}) as work:
        fill(work.folder, "new")
        (work.folder / "notes.txt").write_text("mine")
        with pytest.raises(UserError, match=r"notes\.txt"):
            work.publish()
    assert (tmp_path / "out.partial" / "notes.txt").exists()


@pytest.mark.parametrize("way", ["renamed", "mounted", "refused"])
@pytest.mark.parametrize("step", range(34))
def test_a_crash_at_any_step_of_publishing_loses_nothing(
    tmp_path: Path, step: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, steps = tmp_path / "out", iter(range(100))
    make(out, "old", deep=True)
    if way == "mounted":
        monkeypatch.setattr(work_module, "is_mounted", lambda path: path == out)

    def dying(act):
        def or_die(*args, **kwargs):
            if way == "refused" and args[0] == out:
                raise OSError(errno.EXDEV, "not on an overlay")
            if next(steps) == step:
                raise Killed
            return act(*args, **kwargs)

        return or_die

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink", "rmdir"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        patch.setattr(shutil, "rmtree", dying(shutil.rmtree))
        try:
            with open_work(out, OUTPUT, {"of": "new"}) as work:
                fill(work.folder, "new", deep=True)
                work.publish()
        except Killed:
            pass
        else:
            assert step >= 12, "every step of publishing must have had its crash"
    with open_work(out, OUTPUT, {"of": "new"}) as work:
        is_kept = (work.folder / "result").exists()
        assert is_of(out, "old") or is_of(out, "new")
        if not is_kept and is_of(out, "old"):
            assert step < 3, "the work was lost"
        fill(work.folder, "new", deep=True)
        work.publish()
    assert is_of(out, "new")
    assert files_of(out).keys() == {"result", "made.json", "deep/down"}
    assert list(tmp_path.iterdir()) == [out]


def test_a_mounted_output_is_published_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    make(out, "old", deep=True)
    inode = out.stat().st_ino
    monkeypatch.setattr(work_module, "is_mounted", lambda path: path == out)
    make(out, "new")
    assert out.stat().st_ino == inode
    assert files_of(out).keys() == {"result", "made.json"}
    assert list(tmp_path.iterdir()) == [out]
    assert is_of(out, "new")


def test_checkpoints_live_until_the_result_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "out", Path.replace

    def fail(self, target):
        if Path(target) == out:
            raise OSError(errno.EIO, "Input/output error", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UserError, match="Input/output error"):
        make(out, "new")
    monkeypatch.undo()
    with open_work(out, OUTPUT, {"of": "new"}) as work:
        assert (work.folder / "half").read_text() == "checkpoint"
        assert (work.folder / "result").read_text() == "new"


def test_files_get_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        with open_work(tmp_path / "out", OUTPUT, {}) as work:
            fill(work.folder, "new")
            (work.folder / "result").chmod(0o600)
            work.publish()
    finally:
        os.umask(before)
    assert (tmp_path / "out" / "result").stat().st_mode & 0o777 == 0o664


def test_the_second_process_says_who_holds_the_work(tmp_path: Path) -> None:
    with (
        open_work(tmp_path / "out", OUTPUT, {}) as work,
        pytest.raises(UserError, match=rf"`parrot test`, process {os.getpid()} on "),
        open_work(tmp_path / "out", OUTPUT, {}),
    ):
        pass
    assert not work.folder.exists()


def test_a_lock_whose_holder_was_killed_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from parrot_data.stores.outputs.lock import *\n"
        "with locked(Path(sys.argv[1]), 'test'): os.kill(os.getpid(), 9)"
    )
    folder = tmp_path / "out.partial"
    done = subprocess.run([sys.executable, "-c", code, folder], check=False)
    assert done.returncode == -9
    assert (folder / LOCK).exists()
    make(tmp_path / "out", "new")


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EFBIG, errno.EDQUOT]
)
def test_what_the_system_refuses_is_one_sentence_and_the_work_is_kept(
    tmp_path: Path, number: int
) -> None:
    begin(tmp_path / "out", 1)
    told = rf"out\.partial: {os.strerror(number)}"
    with pytest.raises(UserError, match=told), open_work(tmp_path / "out", OUTPUT, SEED_1):
        raise OSError(number, os.strerror(number))
    with open_work(tmp_path / "out", OUTPUT, SEED_1) as work:
        assert (work.folder / "half").read_text() == "of seed 1"


def test_a_name_that_is_too_long_is_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="name too long"),
        open_work(tmp_path / ("x" * 300), OUTPUT, {}),
    ):
        pass


@pytest.mark.parametrize("last", ["show", "_remove"])
def test_what_a_crash_leaves_beside_a_shown_result_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """Killed as soon as the result is there, or when all but the lock is gone."""

    def killed(*_: object) -> None:
        raise Killed

    out, shown = tmp_path / "out", work_module.Publication.show

    def show(publication: object, *arguments: object) -> None:
        shown(publication, *arguments)  # type: ignore[arg-type]
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(work_module, "_remove", killed)
        if last == "show":
            patch.setattr(work_module.Publication, "show", show)
        with pytest.raises(Killed):
            make(out, "new")
    left = tmp_path / "out.partial"
    assert (left / LOCK).exists()
    tidy(out, OUTPUT)
    assert not left.exists()
    assert is_of(out, "new")


def test_unfinished_work_beside_a_result_is_not_taken_away(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out, "old")
    begin(out, 1)
    before = files_of(tmp_path / "out.partial")
    tidy(out, OUTPUT)
    assert files_of(tmp_path / "out.partial") == before
    with open_work(out, OUTPUT, SEED_1) as work:
        tidy(out, OUTPUT)  # held: not even a look
        assert (work.folder / "half").read_text() == "of seed 1"
    tidy(tmp_path / "nothing", OUTPUT)
    assert not (tmp_path / "nothing").exists()
