"""What is particular to the tars: webdataset reads them, and no damage passes for an end."""

from __future__ import annotations

import tarfile
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import webdataset
from synthetic import SPEC, SPECS, hashes_of, synthetic_episode, synthetic_episodes

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores import tar_shards
from parrot_data.stores.entries import entry_of
from parrot_data.stores.tar_shards import (
    decode_described,
    decode_sample,
    described_samples,
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
left_open = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)


@left_open
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_webdataset_reads_the_same_episodes(spec: EpisodeSpec, tmp_path: Path) -> None:
    episodes = synthetic_episodes(6, spec=spec)
    write_shard(tmp_path / "x.tar", episodes, zstd_level=3)
    dataset = webdataset.WebDataset([str(tmp_path / "x.tar")], shardshuffle=False)
    assert hashes_of(dataset.map(lambda s: decode_sample(s, spec))) == hashes_of(episodes)


@left_open
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_plain_webdataset_unpacks_them_with_the_lines_of_the_docstring(
    spec: EpisodeSpec, tmp_path: Path
) -> None:
    episodes = synthetic_episodes(6, spec=spec)
    write_shard(tmp_path / "x.tar", episodes, zstd_level=3)
    lines = [line for line in (tar_shards.__doc__ or "").splitlines() if line.startswith("    ")]
    given = {"tars": [str(tmp_path / "x.tar")]}
    exec(textwrap.dedent("\n".join(lines)), given)
    for sample, episode in zip(given["dataset"], episodes, strict=True):
        assert sample["episode.json"] == episode.metadata()
        for name, array in episode.arrays().items():
            np.testing.assert_array_equal(sample[f"{name}.npy.zst".lower()], array)


def test_tar_says_nothing_of_when_and_by_whom_it_was_written(tar: Path) -> None:
    with tarfile.open(tar) as opened:
        members = opened.getmembers()
    assert len(members) == 6 * 7
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
    assert [m.name.partition(".")[0] for m in members[::7]] == [f"{i:08d}" for i in range(6)]


def test_copied_samples_are_the_same_file(tar: Path, tmp_path: Path) -> None:
    write_samples(tmp_path / "copy.tar", read_samples([tar], SPEC))
    assert (tmp_path / "copy.tar").read_bytes() == tar.read_bytes()


@pytest.mark.parametrize("member", [1, 2, 7, 41])
def test_damaged_header_does_not_pass_for_the_end(tar: Path, member: int) -> None:
    with tarfile.open(tar) as opened:
        offset = opened.getmembers()[member].offset
    harmed = bytearray(tar.read_bytes())
    harmed[offset] ^= 1
    tar.write_bytes(harmed)
    with pytest.raises(UserError, match=r"shard-00000\.tar.* damaged"):
        list(read_episodes([tar], SPEC))


@pytest.mark.parametrize("member", [1, 7, 41])
def test_cut_between_members_does_not_pass_for_the_end(tar: Path, member: int) -> None:
    with tarfile.open(tar) as opened:
        offset = opened.getmembers()[member].offset
    tar.write_bytes(tar.read_bytes()[:offset])
    with pytest.raises(UserError, match=r"shard-00000\.tar is truncated or damaged"):
        list(read_episodes([tar], SPEC))


def test_folder_without_tars_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no tar"):
        list(read_episodes(tmp_path, SPEC))


def test_failing_stream_leaves_no_tar(tmp_path: Path) -> None:
    def failing():
        yield from synthetic_episodes(2)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_shard(tmp_path / "x.tar", failing(), zstd_level=3)
    assert not list(tmp_path.glob("*.tar"))


def test_entries_go_with_the_samples(tar: Path) -> None:
    entries = [entry_of(episode) for episode in synthetic_episodes(6)]
    pairs = list(described_samples([tar], SPEC, entries))
    assert [entry for entry, _ in pairs] == entries
    episodes = [decode_described(*pair, SPEC) for pair in pairs]
    assert hashes_of(episodes) == hashes_of(synthetic_episodes(6))


def test_entries_of_other_episodes_are_refused(tar: Path) -> None:
    episodes = synthetic_episodes(7)
    short = replace(entry_of(episodes[3]), num_steps=1)
    of = [entry_of(episode) for episode in episodes]
    for entries in (of[:5], of[1:], of, [], [*of[:3], short, *of[4:]], [*of[:5], of[6]]):
        pairs = described_samples([tar], SPEC, entries)
        with pytest.raises(UserError, match=r"shard-00000\.tar"):
            [decode_described(*pair, SPEC) for pair in pairs]


def test_an_episode_too_large_to_be_read_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parrot_data.stores.packed.MAX_ARRAY_BYTES", 10_000)
    write_shard(tmp_path / "x.tar", [synthetic_episode(0)], zstd_level=3)
    with pytest.raises(UserError, match="episode 3"):  # of 80 steps
        write_shard(tmp_path / "y.tar", synthetic_episodes(6), zstd_level=3)
