"""Folders that travel: the same bytes for the same files, unpacked whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from parrot_data.cluster.folders import cached, find_cached, packed, packed_folder
from parrot_data.errors import UserError

FILES = {"a.json": b"{}", "inner/b.bin": bytes(range(256)), "empty": b""}


@pytest.fixture(autouse=True)
def _on_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def write(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_what_is_unpacked_is_what_was_packed(tmp_path: Path) -> None:
    packed_folder(write(tmp_path / "a")).unpack(tmp_path / "b")
    assert read(tmp_path / "b") == FILES


def test_order_and_time_do_not_show(tmp_path: Path) -> None:
    backwards = dict(reversed(FILES.items()))
    assert packed_folder(write(tmp_path / "a")) == packed(FILES) == packed(backwards)


def test_altered_bytes_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    content = packed(FILES)
    altered = replace(content, data=content.data.replace(b"{}", b"[]"))
    with pytest.raises(UserError, match="altered on its way"):
        cached(altered)
    assert find_cached(content.sha256) is None


def test_a_node_unpacks_the_same_content_once(tmp_path: Path) -> None:
    folder = cached(packed(FILES))
    (folder / "a.json").write_bytes(b"noted")
    assert cached(packed(FILES)) == folder == find_cached(packed(FILES).sha256)
    assert (folder / "a.json").read_bytes() == b"noted"
    assert [path.name for path in folder.parent.iterdir()] == [packed(FILES).sha256]


def test_another_users_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(packed(FILES))
    owner = (tmp_path / "a").parent.stat().st_uid
    (folder,) = tmp_path.iterdir()
    folder.rename(tmp_path / "of-another")
    folder.symlink_to(tmp_path / "of-another")
    assert owner == folder.stat().st_uid
    with pytest.raises(UserError, match="not this user's own"):
        cached(packed({}))


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing"):
        packed_folder(tmp_path / "none")
