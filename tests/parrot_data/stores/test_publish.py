"""JSON has one spelling, is whole or not there, and a hash of sources means something."""

from __future__ import annotations

from pathlib import Path

import pytest

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, sha256_sources, write_json


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
