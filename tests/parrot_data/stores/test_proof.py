"""Not a byte of what was sealed changes unseen, and what is set aside is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from parrot_data.stores.proof import (
    DamagedError,
    check_digests,
    digests_of,
    read_sealed,
    set_aside,
    write_sealed,
)

VALUE = {"rows": [1, 2.5, "three"], "none": None}


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_what_was_sealed_is_read(tmp_path: Path) -> None:
    write_sealed(tmp_path / "x.json", VALUE)
    assert read_sealed(tmp_path / "x.json") == VALUE


def test_every_flipped_bit_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_sealed(path, VALUE)
    for place in range(path.stat().st_size):
        flip(path, place)
        with pytest.raises(DamagedError):
            read_sealed(path)
        flip(path, place)
    assert read_sealed(path) == VALUE


@pytest.mark.parametrize(
    ("content", "why"), [("", "empty"), ("[]", "damaged"), ("{}", "damaged"), (None, "missing")]
)
def test_what_is_no_seal_says_so(tmp_path: Path, content: str | None, why: str) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(DamagedError, match=why):
        read_sealed(tmp_path / "x.json")


def test_files_are_held_against_their_digests(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"content")
    digests = digests_of(tmp_path, ["a", "b"])
    check_digests(tmp_path, digests)
    flip(tmp_path / "b", 3)
    with pytest.raises(DamagedError, match="altered or truncated b"):
        check_digests(tmp_path, digests)
    (tmp_path / "a").unlink()
    with pytest.raises(DamagedError, match="lost a"):
        check_digests(tmp_path, digests)


def test_what_is_set_aside_overwrites_nothing(tmp_path: Path) -> None:
    work = tmp_path / "out.partial"
    work.mkdir()
    kept = []
    for content in ("first", "second", "third"):
        (work / "x").write_text(content)
        kept.append(set_aside(work / "x"))
    assert [path.read_text() for path in kept] == ["first", "second", "third"]
    assert {path.parent for path in kept} == {tmp_path / "out.damaged.partial"}
    assert not list(work.iterdir())
