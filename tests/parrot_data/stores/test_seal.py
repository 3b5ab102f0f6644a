"""A seal tells of every byte that changed after it was written, and of nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from parrot_data.errors import UserError
from parrot_data.stores.seal import SEAL, check_seal, is_sealed, seal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.json", "a b.csv"):
        (tmp_path / name).write_text(f"content of {name}")
    seal(tmp_path, ["b.json", "a b.csv"])
    return tmp_path


def test_what_was_sealed_is_whole_whatever_lies_beside_it(folder: Path) -> None:
    assert is_sealed(folder)
    (folder / "notes.txt").write_text("mine")
    check_seal(folder, "parrot finetune")


def test_the_order_of_names_does_not_matter(folder: Path) -> None:
    before = (folder / SEAL).read_bytes()
    seal(folder, ["a b.csv", "b.json"])
    assert (folder / SEAL).read_bytes() == before


def test_sha256sum_reads_it(folder: Path) -> None:
    command = ["sha256sum", "--check", "--strict", SEAL]
    assert subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode == 0


def test_a_changed_file_is_named(folder: Path) -> None:
    (folder / "b.json").write_text("content of B.json")
    with pytest.raises(UserError, match=r"b\.json was changed .* `parrot finetune` again"):
        check_seal(folder, "parrot finetune")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "b.json").unlink()
    with pytest.raises(UserError, match=r"b\.json cannot be read"):
        check_seal(folder, "parrot finetune")


@pytest.mark.parametrize("content", [b"\xff", b"nothing\n", b"0" * 64 + b"  ../b.json\n"])
def test_a_seal_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / SEAL).write_bytes(content)
    with pytest.raises(UserError, match=SEAL):
        check_seal(folder, "parrot finetune")


def test_a_folder_without_a_seal_is_refused(tmp_path: Path) -> None:
    assert not is_sealed(tmp_path)
    with pytest.raises(UserError, match=SEAL):
        check_seal(tmp_path, "parrot finetune")
