"""What is particular to the tars: webdataset reads them, and no damage passes for an end."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import webdataset
from synthetic import hashes_of, synthetic_episodes

from parrot_data.errors import UserError
from parrot_data.stores.tar_shards import (
    decode_sample,
    read_episodes,
    read_samples,
    write_samples,
    write_shard,
)


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    path = tmp_path / "shard-00000.tar"
    write_shard(path, synthetic_episodes(6), zstd_level=3)
    return path


# webdataset leaves it to the garbage collector to close the tar.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_webdataset_reads_the_same_episodes(tar: Path) -> None:
    dataset = webdataset.WebDataset([str(tar)], shardshuffle=False).map(decode_sample)
    assert hashes_of(dataset) == hashes_of(synthetic_episodes(6))


def test_tar_says_nothing_of_when_and_by_whom_it_was_written(tar: Path) -> None:
    with tarfile.open(tar) as opened:
        members = opened.getmembers()
    assert len(members) == 6 * 6
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
    assert [m.name.partition(".")[0] for m in members[::6]] == [f"{i:08d}" for i in range(6)]


def test_copied_samples_are_the_same_file(tar: Path, tmp_path: Path) -> None:
    write_samples(tmp_path / "copy.tar", read_samples([tar]))
    assert (tmp_path / "copy.tar").read_bytes() == tar.read_bytes()


@pytest.mark.parametrize("member", [1, 2, 7, 35])
def test_damaged_header_does_not_pass_for_the_end(tar: Path, member: int) -> None:
    with tarfile.open(tar) as opened:
        offset = opened.getmembers()[member].offset
    harmed = bytearray(tar.read_bytes())
    harmed[offset] ^= 1
    tar.write_bytes(harmed)
    with pytest.raises(UserError, match=r"shard-00000\.tar.* damaged"):
        list(read_episodes([tar]))


@pytest.mark.parametrize("member", [1, 6, 35])
def test_cut_between_members_does_not_pass_for_the_end(tar: Path, member: int) -> None:
    with tarfile.open(tar) as opened:
        offset = opened.getmembers()[member].offset
    tar.write_bytes(tar.read_bytes()[:offset])
    with pytest.raises(UserError, match=r"shard-00000\.tar is truncated or damaged"):
        list(read_episodes([tar]))


def test_folder_without_tars_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no tar"):
        list(read_episodes(tmp_path))


def test_failing_stream_leaves_no_tar(tmp_path: Path) -> None:
    def failing():
        yield from synthetic_episodes(2)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_shard(tmp_path / "x.tar", failing(), zstd_level=3)
    assert not list(tmp_path.glob("*.tar"))
