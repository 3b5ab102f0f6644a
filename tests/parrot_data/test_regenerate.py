"""What a dataset holds comes out again; what was altered is found, however whole it looks."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparison.compared import rewritten, with_changed, with_params
from pydantic import TypeAdapter
from synthetic import filter_params, shard_params, synthetic_episodes, write_raw

from parrot_data.arithmetic import PLAIN, TUNABLES
from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.filter import filter_episodes
from parrot_data.generate import GenerateParams, generate
from parrot_data.merge import MergeParams, merge
from parrot_data.regenerate import Regenerated, regenerate
from parrot_data.shard import shard
from parrot_data.stores.manifest import load_any_manifest
from parrot_data.stores.verify import verify
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams

NUM_EPISODES = 14
TOY = {
    "name": "tests.toy_world:make_world",
    "kwargs": {"action_dim": 3, "images": {"camera": [6, 9]}, "max_steps": 8},
}
TABLETOP = {
    "name": "tabletop", "image_size": 16, "proprioception": True, "episode_steps": 25,
    "demonstrations": {"action_noise": 0.1, "num_objects": [2, 3]},
}  # fmt: skip
SINES = "import math; print(repr([math.sin(i / 7.0) for i in range(20000)]))"


def environment(values: dict[str, Any]) -> EnvironmentParams:
    return TypeAdapter(EnvironmentParams).validate_python(values)


def generate_params(tasks: dict[str, float], num_episodes: int = NUM_EPISODES) -> GenerateParams:
    return GenerateParams(
        seed=5, num_episodes=num_episodes, episodes_per_file=5, tasks=tasks, zstd_level=3
    )


def sharded(episodes: Path) -> Path:
    kept, shards = episodes.with_name("kept"), episodes.with_name("shards")
    filter_episodes(filter_params(max_episodes_per_task=4), episodes, kept)
    shard(shard_params(), episodes, kept, shards)
    return shards


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw episodes, and shards of a part of them."""
    out = tmp_path_factory.mktemp("toy") / "episodes"
    generate(
        generate_params({"reach-near": 0.7, "reach-far": 0.3}), environment(TOY), out, workers=1
    )
    sharded(out)
    return out


def again(folder: Path, num_episodes: int = 100, seed: int = 0, workers: int = 1) -> Regenerated:
    return regenerate(folder, num_episodes, seed, workers=workers)


@pytest.mark.parametrize("kind", ["episodes", "shards"])
def test_all_episodes_come_out_as_they_are(toy: Path, kind: str) -> None:
    folder = toy.with_name(kind)
    num_episodes = load_any_manifest(folder).num_episodes
    assert num_episodes == (NUM_EPISODES if kind == "episodes" else 8)
    calls = []
    found = regenerate(
        folder, 100, 0, workers=2, progress=lambda done, total, _: calls.append((done, total))
    )
    assert found == Regenerated(num_episodes, num_episodes, [])
    assert calls == [(done, num_episodes) for done in range(1, num_episodes + 1)]


def alter(episode: Episode) -> Episode:
    """One number is another, far beyond what arithmetic does; of two steps and more."""

    def change(rows: np.ndarray) -> None:
        rows[1, 2] += 0.25

    return with_changed(episode, "actions", change)


@pytest.mark.parametrize("kind", ["episodes", "shards"])
def test_an_altered_episode_is_found_though_all_hashes_were_made_anew(
    toy: Path, tmp_path: Path, kind: str
) -> None:
    shards = toy.with_name("shards")
    manifest = load_any_manifest(shards)
    chosen = [e.index for e in manifest.entries(shards) if e.num_steps > 1][-1]
    episodes = rewritten(
        toy, tmp_path / "episodes", lambda each: alter(each) if each.index == chosen else each
    )
    folder = sharded(episodes) if kind == "shards" else episodes
    verify(folder)
    found = again(folder)
    (only,) = found.divergences
    assert (only.index, only.fields, only.looks_like) == (chosen, [], "other content")
    (array,) = only.arrays
    assert (array.array, array.first_step, array.num_steps) == ("actions", 1, 1)
    assert array.first_difference == pytest.approx(0.25)


def test_an_episode_of_another_index_is_found(toy: Path, tmp_path: Path) -> None:
    """Two that were swapped, content and all but their indices."""

    def swap(each: Episode) -> Episode:
        return replace(each, index={2: 3, 3: 2}.get(each.index, each.index))

    found = again(rewritten(toy, tmp_path / "episodes", swap))
    assert sorted(each.index for each in found.divergences) == [2, 3]


def test_the_choice_is_the_seeds_and_of_no_episode_twice(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[list[int]] = []

    def note(_start: object, items: list[Any], *_: object, **__: object) -> None:
        chosen.append([item.index for item in items])

    monkeypatch.setattr("parrot_data.regenerate.share_out", note)
    for seed in (0, 0, 1, 2, 3):
        assert again(toy, 6, seed).num_episodes == 6
    assert chosen[0] == chosen[1] == sorted(set(chosen[0]))
    assert len({tuple(each) for each in chosen}) > 1


def test_data_that_are_not_what_the_manifest_says_are_damaged(toy: Path, tmp_path: Path) -> None:
    episodes = rewritten(toy, tmp_path / "episodes", lambda each: each)
    other = rewritten(toy, tmp_path / "other", alter)
    name = "episodes-00001.tar"
    (episodes / name).write_bytes((other / name).read_bytes())
    with pytest.raises(UserError, match=r"episode \d+ is not the one that its manifest"):
        again(episodes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"import": {"format": "npz"}}, "that were imported: .* nothing to simulate"),
        ({"generate": None}, "does not record the params of generate for"),
        ({"generate": None, "environment": None}, "of environment and generate for"),
        ({"generate": {"seed": 0}}, r"does not understand \(generate\..*check out the version"),
        ({"environment": {**TABLETOP, "image_size": "x"}}, r"\(environment\.image_size: "),
        ({"environment": {**TOY, "kwargs": {"action_dim": 4}}}, "another spec today"),
        ({"environment": {"name": "nowhere:world", "kwargs": {}}}, "nowhere cannot be imported"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_a_sentence(
    toy: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    params = {**load_any_manifest(toy).params, **changes}
    copy = rewritten(toy, tmp_path / "episodes", lambda each: each)
    with_params(copy, {name: value for name, value in params.items() if value is not None})
    with pytest.raises(UserError, match=words) as caught:
        again(copy)
    assert "\n" not in str(caught.value)


def test_made_up_episodes_come_from_nowhere(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not record the params of environment for"):
        again(write_raw(tmp_path / "episodes", synthetic_episodes(3)))


def merged(out: Path, *folders: Path) -> Path:
    merge(MergeParams(duplicates="drop"), folders, out)
    verify(out)
    return out


def made(values: dict[str, Any], params: GenerateParams, out: Path) -> Path:
    """What `generate` makes, but by this process, in its own arithmetic."""
    world = make_world(environment(values))
    demonstrations = Demonstrations(world, params.tasks, params.seed)
    episodes = [demonstrations.episode(index) for index in range(params.num_episodes)]
    demonstrations.close()
    write_raw(out, episodes, world.spec, seed=params.seed)
    return with_params(out, {"environment": values, "generate": params.model_dump()})


def toy_of(seed: int, out: Path, num_episodes: int = 3) -> Path:
    params = generate_params({"reach-near": 1.0}, num_episodes)
    return made(TOY, params.model_copy(update={"seed": seed}), out)


def test_merged_episodes_come_out_as_those_of_one_of_their_seeds(toy: Path, tmp_path: Path) -> None:
    other = toy_of(6, tmp_path / "other")
    both = merged(tmp_path / "both", toy, other)
    assert "generate" not in load_any_manifest(both).params
    more = merged(tmp_path / "more", both, toy_of(7, tmp_path / "third", 2))
    assert again(more) == Regenerated(NUM_EPISODES + 5, NUM_EPISODES + 5, [])


def test_of_merged_episodes_an_altered_one_is_held_against_its_own_seeds(
    toy: Path, tmp_path: Path
) -> None:
    other = rewritten(
        toy_of(6, tmp_path / "other"), tmp_path / "altered",
        lambda each: alter(each) if each.index == 2 else each,
    )  # fmt: skip
    for number, order in enumerate(((toy, other), (other, toy))):
        (only,) = again(merged(tmp_path / str(number), *order)).divergences
        assert (only.index, [array.array for array in only.arrays]) == (2, ["actions"])


def test_what_was_merged_with_an_unknown_origin_is_refused(toy: Path, tmp_path: Path) -> None:
    for name, params, words in (
        ("imported", {"import": {}}, "that were imported"),
        ("unknown", {}, "record the params of environment and generate for all"),
    ):
        other = rewritten(toy, tmp_path / name, alter)
        with_params(other, params)
        both = merged(tmp_path / f"both-{name}", toy, other)
        with pytest.raises(UserError, match=words):
            again(merged(tmp_path / f"again-{name}", both, toy))


def sines_here_and_there() -> tuple[str, str]:
    """Hashes of the C library's sines in this process, and in those that simulate."""
    here = repr([math.sin(i / 7.0) for i in range(20000)]) + "\n"
    done = subprocess.run(
        [sys.executable, "-c", SINES], env={**os.environ, TUNABLES: PLAIN},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    one, other = (hashlib.sha256(text.encode()).hexdigest() for text in (here, done.stdout))
    return one, other


def test_other_arithmetic_is_told_with_its_step_and_its_size(tmp_path: Path) -> None:
    """Episodes as a processor makes them whose C library fuses: this process does so."""
    here, there = sines_here_and_there()
    if here == there:
        pytest.skip("the C library computes in one way alone here")
    params = generate_params({"pick": 0.6, "place": 0.4}, 10).model_copy(update={"seed": 0})
    folder = made(TABLETOP, params, tmp_path / "episodes")
    verify(folder)
    found = again(folder)
    assert 0 < len(found.divergences) < params.num_episodes
    for each in found.divergences:
        assert each.looks_like == "other arithmetic"
        assert each.first is not None
        assert each.first.first_step > 0  # contacts make another episode of a last bit
        assert 0 < each.first.first_difference < 1e-3
        assert all(array.first_time >= each.first.first_time for array in each.arrays)
