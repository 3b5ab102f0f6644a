"""Both stores hold exactly the kept episodes, and only matching inputs are taken."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from synthetic import (
    SPEC,
    SPECS,
    files_of,
    filter_params,
    hashes_of,
    shard_params,
    synthetic_episode,
    synthetic_episodes,
    tabletop_like,
    write_inputs,
)

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.shard import shard
from parrot_data.stores.card_files import CARD, IMAGE
from parrot_data.stores.entries import entry_of
from parrot_data.stores.kept import KEPT
from parrot_data.stores.manifest import MANIFEST, load_manifest
from parrot_data.stores.publish import read_json, sha256_file, write_json
from parrot_data.stores.tar_shards import read_episodes
from parrot_data.stores.verify import verify
from parrot_data.stores.zarr_store import zarr_of
from tests.memory import grows_by_less, peak_bytes

COUNT = 23


def make_inputs(
    folder: Path, seed: int = 0, count: int = COUNT, spec: EpisodeSpec = SPEC
) -> tuple[Path, Path]:
    """Raw episodes and the decision about them."""
    return write_inputs(folder, synthetic_episodes(count, seed, spec), spec, seed=seed)


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path]:
    return make_inputs(tmp_path)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_both_stores_hold_the_kept_episodes_in_order(spec: EpisodeSpec, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    summary = shard(shard_params(), *make_inputs(tmp_path, spec=spec), out)
    expected = [episode for episode in synthetic_episodes(COUNT, spec=spec) if episode.success]
    manifest = load_manifest(out, "shards")
    assert manifest.spec == spec
    assert hashes_of(read_episodes(manifest.tar_paths(out), spec)) == hashes_of(expected)
    assert hashes_of(zarr_of(out, manifest)) == hashes_of(expected)
    assert list(manifest.entries(out)) == [entry_of(episode) for episode in expected]
    assert summary["num_episodes"] == manifest.num_episodes == len(expected)
    num_transitions = sum(episode.num_steps for episode in expected)
    assert summary["num_transitions"] == manifest.num_transitions == num_transitions
    data = {name: n for name, n in files_of(out).items() if name not in (MANIFEST, CARD, IMAGE)}
    assert summary["num_bytes"] == sum(map(len, data.values()))


def test_manifest_tells_the_lineage_and_the_statistics(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    shard(shard_params(), *inputs, tmp_path / "shards")
    manifest = load_manifest(tmp_path / "shards", "shards")
    assert manifest.params == {
        "generate": {"seed": 0},
        "filter": filter_params().model_dump(),
        "shard": shard_params().model_dump(),
    }
    assert manifest.sources.episodes_manifest_sha256 == sha256_file(inputs[0] / MANIFEST)
    assert manifest.sources.kept_sha256 == sha256_file(inputs[1] / KEPT)
    actions = np.concatenate([e.actions for e in synthetic_episodes(COUNT) if e.success])
    np.testing.assert_allclose(manifest.statistics.action.mean, actions.mean(axis=0), rtol=1e-4)


@pytest.mark.parametrize("episodes_per_tar", [1, 4, 100])
def test_every_tar_but_the_last_is_full(
    inputs: tuple[Path, Path], tmp_path: Path, episodes_per_tar: int
) -> None:
    out = tmp_path / "shards"
    num_kept = shard(shard_params(episodes_per_tar=episodes_per_tar), *inputs, out)["num_episodes"]
    tars = load_manifest(out, "shards").tar_paths(out)
    counts = [len(list(read_episodes([tar], SPEC))) for tar in tars]
    assert sum(counts) == num_kept
    assert set(counts[:-1]) <= {episodes_per_tar}
    assert 1 <= counts[-1] <= episodes_per_tar


def test_same_inputs_give_the_same_bytes(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    shard(shard_params(), *inputs, tmp_path / "a")
    shard(shard_params(), *make_inputs(tmp_path / "again"), tmp_path / "b")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_what_an_interrupted_run_left_does_not_show(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    def interrupt(done: int, total: int, note: str) -> None:
        if done == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shard(shard_params(), *inputs, tmp_path / "a", progress=interrupt)
    (tmp_path / "a.partial" / "tar" / "shard-00077.tar").touch()
    (tmp_path / "a.partial" / "episodes.zarr" / "observations" / "image" / "c" / "77").mkdir(
        parents=True
    )
    shard(shard_params(), *inputs, tmp_path / "a")
    shard(shard_params(), *inputs, tmp_path / "b")
    verify(tmp_path / "a")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_a_kill_before_publishing_does_not_show(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("parrot_data.stores.outputs.work.Work.publish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            shard(shard_params(), *inputs, tmp_path / "a")
    shard(shard_params(), *inputs, tmp_path / "a")
    shard(shard_params(), *inputs, tmp_path / "b")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_kept_from_other_episodes_is_refused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    _, other_kept = make_inputs(tmp_path / "other", seed=1)
    with pytest.raises(UserError, match=r"kept\.json was made from other episodes"):
        shard(shard_params(), inputs[0], other_kept, tmp_path / "shards")
    assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize("kept", [[], [COUNT], [3, 2], [2, 2]])
def test_edited_kept_is_refused(inputs: tuple[Path, Path], tmp_path: Path, kept: list[int]) -> None:
    path = inputs[1] / KEPT
    write_json(path, {**read_json(path), "kept": kept})
    with pytest.raises(UserError, match=r"kept\.json"):
        shard(shard_params(), *inputs, tmp_path / "shards")


def test_a_missing_tar_is_named(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    (inputs[0] / "episodes-00002.tar").unlink()
    with pytest.raises(UserError, match=r"episodes-00002\.tar is missing"):
        shard(shard_params(), *inputs, tmp_path / "shards")


def test_other_episodes_than_the_manifests_are_refused(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    others, _ = make_inputs(tmp_path / "other", seed=1)
    name = "episodes-00001.tar"
    (inputs[0] / name).write_bytes((others / name).read_bytes())
    with pytest.raises(
        UserError, match=r"episodes-00001\.tar.* that its (manifest describes|episode can)"
    ):
        shard(shard_params(), *inputs, tmp_path / "shards")


def test_a_tar_that_lacks_episodes_is_refused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    short, _ = make_inputs(tmp_path / "short", count=6)  # its second tar holds but one
    name = "episodes-00001.tar"
    (inputs[0] / name).write_bytes((short / name).read_bytes())
    with pytest.raises(UserError, match="lacks"):
        shard(shard_params(), *inputs, tmp_path / "shards")


def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    spec = tabletop_like(32)

    def peak(count: int) -> int:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        inputs = make_inputs(folder, count=count, spec=spec)
        return peak_bytes(lambda: shard(shard_params(), *inputs, folder / "shards"))

    episodes = (synthetic_episode(index, spec=spec) for index in range(20, 50))
    num_raw_bytes = sum(episode.observations["image"].nbytes for episode in episodes)
    assert grows_by_less(peak, 20, 50, num_raw_bytes / 4)


def test_progress_ends_at_its_total(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    num_kept = shard(
        shard_params(), *inputs, tmp_path / "s", progress=lambda d, t, _: calls.append((d, t))
    )["num_episodes"]
    assert calls == [(done, 2 * num_kept) for done in range(1, 2 * num_kept + 1)]


@pytest.mark.parametrize("key", ["steps_per_chunk", "chunks_per_shard", "episodes_per_tar"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, 10**10])
def test_layouts_that_cannot_be_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        shard_params(**{key: value})


def test_an_episode_with_numbers_that_are_not_finite_is_named(tmp_path: Path) -> None:
    episodes = synthetic_episodes(3)
    episodes[0].observations["proprioception"][2, 3] = np.nan
    inputs = write_inputs(tmp_path, episodes)
    with pytest.raises(UserError, match="episode 0: its proprioception hold a number"):
        shard(shard_params(), *inputs, tmp_path / "shards")
    assert not (tmp_path / "shards").exists()


def test_manifest_is_plain_json(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    shard(shard_params(), *inputs, tmp_path / "shards")
    value = json.loads((tmp_path / "shards" / MANIFEST).read_text())
    assert {
        "schema_version",
        "kind",
        "params",
        "seed",
        "spec",
        "num_episodes",
        "statistics",
    } <= set(value)
    assert value["tar_shards"] == sorted(value["tar_shards"])
