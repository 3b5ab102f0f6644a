"""A difference is empty of two that are the same, its own mirror, and names what was changed."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from comparison.compared import mirrored, with_changed, with_params
from stores.small_dataset import write_datasets
from synthetic import SPECS, synthetic_episode, synthetic_episodes, tabletop_like, write_raw

from parrot_data.comparison.drift import ColumnDrift, ColumnMoments
from parrot_data.diff import diff
from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.stores.manifest import load_any_manifest
from tests.memory import grows_by_less, peak_bytes

COUNT = 16


def edited() -> list[Episode]:
    """Of `COUNT` episodes one lost, one of other actions, one that failed, two more at the end."""
    episodes = synthetic_episodes(COUNT + 2)
    del episodes[4]
    episodes[1] = with_changed(episodes[1], "actions", lambda rows: rows.fill(0.5))
    won = next(i for i, episode in enumerate(episodes[8:], 8) if episode.success)
    episodes[won] = replace(episodes[won], success=False, failure="dropped")
    return episodes


def raw(folder: Path, episodes: Iterable[Episode], **values: object) -> Path:
    return write_raw(folder, episodes, **values)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    write_datasets(tmp_path / "a", COUNT)
    return tmp_path / "a" / "episodes", raw(tmp_path / "b", edited())


@pytest.mark.parametrize("kind", ["episodes", "shards"])
@pytest.mark.parametrize("by_task", [False, True])
def test_of_a_dataset_with_itself_nothing_differs(
    pair: tuple[Path, Path], kind: str, by_task: bool
) -> None:
    folder = pair[0].with_name(kind)
    found = diff(folder, folder, by_task=by_task)
    assert found.is_empty
    assert found.columns == []
    assert all(task.a == task.b for task in found.tasks)
    assert found.episodes.num_common == load_any_manifest(folder).num_episodes


@pytest.mark.parametrize("kind", ["episodes", "shards"])
@pytest.mark.parametrize("by_task", [False, True])
def test_the_other_way_round_it_is_mirrored(
    pair: tuple[Path, Path], kind: str, by_task: bool
) -> None:
    one, other = pair[0].with_name(kind), pair[1]
    found = diff(one, other, by_task=by_task)
    assert not found.is_empty
    assert mirrored(found) == diff(other, one, by_task=by_task).as_json()


def test_every_episode_of_either_is_told_once(pair: tuple[Path, Path]) -> None:
    found = diff(*pair).episodes
    hashes = [
        Counter(entry.content_hash for entry in load_any_manifest(folder).entries(folder))
        for folder in pair
    ]
    common = hashes[0] & hashes[1]
    assert found.num_common == common.total() == COUNT - 3
    added = Counter(mark.content_hash for mark in found.added)
    removed = Counter(mark.content_hash for mark in found.removed)
    assert common + removed + Counter(c.a.content_hash for c in found.changed) == hashes[0]
    assert common + added + Counter(c.b.content_hash for c in found.changed) == hashes[1]


def test_what_was_changed_is_named(pair: tuple[Path, Path]) -> None:
    found = diff(*pair).episodes
    assert [mark.index for mark in found.removed] == [4]
    assert [mark.index for mark in found.added] == [COUNT, COUNT + 1]
    assert [change.fields for change in found.changed] == [[], ["success", "failure"]]
    assert next(iter(found.changed)).a.index == 1


def test_an_episode_that_occurs_twice_counts_twice(tmp_path: Path) -> None:
    one = synthetic_episodes(3)
    two = [*one, one[1], one[2]]
    found = diff(raw(tmp_path / "a", one), raw(tmp_path / "b", two)).episodes
    assert found.num_common == 3
    assert [mark.index for mark in found.added] == [1, 2]
    assert len(found.removed) == len(found.changed) == 0


def test_episodes_of_another_seed_or_source_are_other_episodes(tmp_path: Path) -> None:
    sides = [raw(tmp_path / str(s), synthetic_episodes(4, seed=s), seed=s) for s in (0, 1)]
    found = diff(*sides).episodes
    assert (len(found.added), len(found.removed), len(found.changed)) == (4, 4, 0)
    named = [
        raw(tmp_path / name, [replace(synthetic_episode(0), facts={"source": name})])
        for name in ("demo_0", "demo_1")
    ]
    found = diff(*named).episodes
    assert [mark.source for mark in (*found.removed, *found.added)] == ["demo_0", "demo_1"]


def test_tasks_are_counted(pair: tuple[Path, Path]) -> None:
    episodes = edited()
    for task in diff(*pair).tasks:
        of_task = [episode for episode in episodes if episode.task == task.task]
        assert task.b is not None
        assert task.b.num_episodes == len(of_task)
        assert task.b.success_rate == np.mean([episode.success for episode in of_task])
        assert task.b.mean_num_steps == np.mean([episode.num_steps for episode in of_task])


def test_a_task_that_one_lacks_is_told(tmp_path: Path) -> None:
    episodes = synthetic_episodes(6)
    other = [replace(episode, task="push") for episode in episodes]
    found = diff(raw(tmp_path / "a", episodes), raw(tmp_path / "b", other))
    assert [(t.task, t.a is None, t.b is None) for t in found.tasks] == [
        ("pick", False, True), ("place", False, True), ("push", True, False),
    ]  # fmt: skip


def test_a_column_that_moved_comes_first_by_its_standardised_difference(tmp_path: Path) -> None:
    episodes = synthetic_episodes(8)

    def move(rows: np.ndarray) -> None:
        rows[:, 3] += 2.0

    moved = [with_changed(e, "observation.proprioception", move) for e in episodes]
    sides = raw(tmp_path / "a", episodes), raw(tmp_path / "b", moved)
    first = diff(*sides).columns[0]
    rows = [
        np.concatenate([e.observations["proprioception"] for e in s]) for s in (episodes, moved)
    ]
    before, after = (each[:, 3].astype(np.float64) for each in rows)
    expected = (after.mean() - before.mean()) / np.sqrt((before.var() + after.var()) / 2)
    assert (first.array, first.column, first.task) == ("observation.proprioception", 3, "")
    assert first.difference == pytest.approx(expected)
    others = [c for c in diff(*sides).columns if (c.array, c.column) != (first.array, 3)]
    assert not any(column.differs for column in others)


def test_drift_by_task_is_that_of_the_tasks_episodes(tmp_path: Path) -> None:
    episodes = synthetic_episodes(12)
    moved = [
        with_changed(e, "actions", lambda rows: np.add(rows, 1.0, out=rows))
        if e.task == "place" else e
        for e in episodes
    ]  # fmt: skip
    found = diff(raw(tmp_path / "a", episodes), raw(tmp_path / "b", moved), by_task=True)
    assert {(c.task, c.array) for c in found.columns if c.differs} == {("place", "actions")}


def test_statistics_of_the_manifest_are_those_that_stream(tmp_path: Path) -> None:
    write_datasets(tmp_path, COUNT)
    kept = [e for e in synthetic_episodes(COUNT) if e.success]
    altered = [with_changed(kept[0], "actions", lambda rows: rows.fill(0.0)), *kept[1:]]
    other = raw(tmp_path / "b", altered)
    of_shards = diff(tmp_path / "shards", other)
    of_raw = diff(raw(tmp_path / "a", kept), other)
    for one, two in zip(of_shards.columns, of_raw.columns, strict=True):
        assert one.a.mean == pytest.approx(two.a.mean)
        assert one.a.std == pytest.approx(two.a.std)


@pytest.mark.parametrize(
    ("a", "b", "difference"), [((1.0, 0.0), (1.0, 0.0), 0.0), ((1.0, 0.0), (2.0, 0.0), np.inf)]
)
def test_of_what_never_varies_any_difference_is_infinite(a, b, difference: float) -> None:
    drift = ColumnDrift("", "actions", 0, ColumnMoments(*a), ColumnMoments(*b))
    assert drift.difference == difference


def test_params_and_specs_that_differ_are_named(tmp_path: Path) -> None:
    episodes = synthetic_episodes(2, spec=tabletop_like(8))
    sides = [raw(tmp_path / "a", episodes), raw(tmp_path / "b", episodes)]
    with_params(sides[0], {"generate": {"seed": 0, "tasks": {"pick": 1}}, "one": 1})
    with_params(sides[1], {"generate": {"seed": 0, "tasks": {"pick": True}}, "filter": {"n": []}})
    found = diff(*sides)
    assert not found.is_empty
    assert [(change.name, dict(change.values)) for change in found.params] == [
        ("filter.n", {"b": []}),
        ("generate.tasks.pick", {"a": 1, "b": True}),
        ("one", {"a": 1}),
    ]
    wide = raw(tmp_path / "c", synthetic_episodes(2, spec=tabletop_like(9)), spec=tabletop_like(9))
    found = diff(sides[0], wide)
    sizes = {change.name: dict(change.values) for change in found.spec}
    assert sizes == {f"observations.image.{side}": {"a": 8, "b": 9} for side in ("height", "width")}
    assert {column.array for column in found.columns} == {"actions", "observation.proprioception"}


def test_datasets_of_other_robots_can_be_held_against_each_other(tmp_path: Path) -> None:
    sides = [
        raw(tmp_path / str(i), synthetic_episodes(3, spec=spec), spec=spec)
        for i, spec in enumerate(SPECS.values())
    ]
    for one in sides:
        for other in sides:
            assert mirrored(diff(one, other)) == diff(other, one).as_json()


def test_what_holds_no_episodes_is_refused(tmp_path: Path) -> None:
    write_datasets(tmp_path)
    for path, words in (("kept", "decision of filter"), ("absent", "is missing")):
        with pytest.raises(UserError, match=words):
            diff(tmp_path / path, tmp_path / "episodes")


def test_damaged_data_are_not_told_as_another_content(pair: tuple[Path, Path]) -> None:
    tar = next(pair[1].glob("*.tar"))
    content = bytearray(tar.read_bytes())
    content[len(content) // 2] ^= 1
    tar.write_bytes(content)
    with pytest.raises(UserError, match=tar.name):
        diff(*pair)


def test_memory_does_not_grow_with_the_arrays(tmp_path: Path) -> None:
    spec = tabletop_like(32)

    def peak(count: int) -> int:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        sides = [
            raw(folder / f"{seed}", synthetic_episodes(count, seed, spec), spec=spec)
            for seed in (0, 1)
        ]
        return peak_bytes(lambda: diff(*sides))

    num_raw_bytes = sum(
        synthetic_episode(index, spec=spec).observations["image"].nbytes for index in range(20, 50)
    )
    assert grows_by_less(peak, 20, 50, num_raw_bytes / 4)


def test_progress_ends_at_the_number_of_episodes(pair: tuple[Path, Path]) -> None:
    calls: list[tuple[int, int]] = []
    diff(*pair, progress=lambda done, total, _: calls.append((done, total)))
    assert (COUNT, COUNT) in calls
    assert calls[-1] == (COUNT + 1, COUNT + 1)
