"""Every flipped byte, truncation, missing and extra file is found and named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_dataset import write_datasets
from synthetic import SPEC, SPECS, synthetic_episode, synthetic_episodes

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores import tar_shards, zarr_writer
from parrot_data.stores.card_files import CARD, IMAGE
from parrot_data.stores.entries import ENTRIES, write_entries
from parrot_data.stores.manifest import load_any_manifest, save_manifest
from parrot_data.stores.records import FileEntry, file_entry
from parrot_data.stores.verify import verify

COUNT = 8


def files_in(dataset: Path) -> list[Path]:
    """All but those of the card, which is no data: see `test_cards`."""
    found = (path for path in dataset.rglob("*") if path.is_file())
    return sorted(path for path in found if path.name not in (CARD, IMAGE))


def test_a_whole_dataset_passes_and_progress_covers_every_store(dataset: Path) -> None:
    calls: list[tuple[int, int]] = []
    manifest = verify(dataset, progress=lambda done, total, _: calls.append((done, total)))
    total = manifest.num_episodes * (2 if dataset.name == "shards" else 1)
    assert manifest.num_episodes > 0
    assert calls == [(done, total) for done in range(1, total + 1)]


@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 1.0])
def test_a_flipped_bit_in_any_file_is_found(dataset: Path, place: float) -> None:
    for path in files_in(dataset):
        whole = path.read_bytes()
        at = round(place * (len(whole) - 1))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(UserError) as raised:
            verify(dataset)
        assert str(path) in str(raised.value)
        path.write_bytes(whole)
    verify(dataset)


@pytest.mark.parametrize("harm", ["cut", "empty", "longer", "missing"])
def test_any_file_cut_lengthened_or_missing_is_found(dataset: Path, harm: str) -> None:
    for path in files_in(dataset):
        whole = path.read_bytes()
        if harm == "missing":
            path.unlink()
        else:
            path.write_bytes({"cut": whole[:-1], "empty": b"", "longer": whole + b"\0"}[harm])
        with pytest.raises(UserError) as raised:
            verify(dataset)
        assert str(path) in str(raised.value)
        path.write_bytes(whole)
    verify(dataset)


@pytest.mark.parametrize(
    "name", ["extra.tar", "episodes.zarr/observations/image/c/9", "tar/.hidden"]
)
def test_an_extra_file_is_found(dataset: Path, name: str) -> None:
    path = dataset / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(UserError, match=rf"{name} is not in the manifest"):
        verify(dataset)


def resealed(dataset: Path, path: Path) -> FileEntry:
    """Make the manifest vouch for a file as it is now."""
    manifest = load_any_manifest(dataset)
    entry = file_entry(dataset, path)
    files = [
        f.model_copy(update=dict(entry)) if f.name == entry.name else f for f in manifest.files
    ]
    save_manifest(dataset, manifest.model_copy(update={"files": files}))
    return entry


def test_other_episodes_in_a_tar_are_found_though_every_file_has_its_hash(dataset: Path) -> None:
    tar = next(path for path in files_in(dataset) if path.suffix == ".tar")
    count = len(list(tar_shards.read_episodes([tar], SPEC)))
    tar_shards.write_shard(tar, synthetic_episodes(count, seed=1), zstd_level=3)
    resealed(dataset, tar)
    with pytest.raises(UserError, match=rf"{tar.name}: episode .* is not the one"):
        verify(dataset)


@pytest.mark.parametrize(
    "change", [{"facts": {}}, {"task": "another"}, {"terminated": 1}, {"content_hash": "0" * 64}]
)
def test_an_entry_that_is_not_of_its_episode_is_found(dataset: Path, change: dict) -> None:
    manifest, path = load_any_manifest(dataset), dataset / ENTRIES
    *entries, last = manifest.entries(dataset)
    write_entries(path, [*entries, replace(last, **change)])
    file = file_entry(dataset, path)
    save_manifest(dataset, manifest.model_copy(update={"episodes": file}))
    with pytest.raises(UserError, match=f"episode {last.index} is not the one|terminated"):
        verify(dataset)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_number_of_episodes_is_found(dataset: Path, change: int) -> None:
    tar = [path for path in files_in(dataset) if path.suffix == ".tar"][-1]
    episodes = list(tar_shards.read_episodes([tar], SPEC))
    other = episodes[:-1] if change < 0 else [*episodes, synthetic_episodes(9)[-1]]
    tar_shards.write_shard(tar, other, zstd_level=3)
    resealed(dataset, tar)
    with pytest.raises(UserError, match=rf"{tar.name}.*(lacks|describes no) episode"):
        verify(dataset)


def test_other_episodes_in_zarr_are_found(dataset: Path) -> None:
    if dataset.name == "episodes":
        return  # has no Zarr store
    manifest = load_any_manifest(dataset)
    count = manifest.num_episodes
    lengths = [entry.num_steps for entry in manifest.entries(dataset)]
    others = [synthetic_episode(i, seed=1, num_steps=n) for i, n in enumerate(lengths)]
    assert len(others) == count
    layout = zarr_writer.ZarrLayout(16, 3, 3)
    zarr_writer.write(dataset / "episodes.zarr", SPEC, others, layout)
    for path in files_in(dataset / "episodes.zarr"):
        resealed(dataset, path)
    with pytest.raises(UserError, match=r"position 0 of the episodes\.zarr store"):
        verify(dataset)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_datasets_of_every_spec_pass(spec: EpisodeSpec, tmp_path: Path) -> None:
    write_datasets(tmp_path, COUNT, spec)
    for name in ("episodes", "shards"):
        assert verify(tmp_path / name).spec == spec
