"""What is kept succeeded and was wanted; what went is accounted for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import (
    files_of,
    filter_params,
    synthetic_episode,
    synthetic_episodes,
    write_raw,
)

from parrot_data.errors import UserError
from parrot_data.filter import filter_episodes
from parrot_data.stores.kept import KEPT, load_kept
from parrot_data.stores.manifest import MANIFEST
from parrot_data.stores.publish import json_text, read_json, sha256_file

COUNT = 40


def places_kept(folder: Path) -> list[int]:
    return [place for place, kept in enumerate(load_kept(folder).is_kept) if kept]


@pytest.fixture
def episodes(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "episodes", synthetic_episodes(COUNT))


@pytest.mark.parametrize("tasks", [["pick"], ["place"], ["pick", "place"], ["place", "pick"], []])
@pytest.mark.parametrize("limit", [0, 3, 1000])
def test_exactly_the_wanted_successes_are_kept(
    episodes: Path, tmp_path: Path, tasks: list[str], limit: int
) -> None:
    params = filter_params(tasks=tasks, max_episodes_per_task=limit)
    filter_episodes(params, episodes, tmp_path / "kept")
    expected = [
        [e.index for e in synthetic_episodes(COUNT) if e.success and e.task == task]
        for task in tasks or ["pick", "place"]
    ]
    decision = load_kept(tmp_path / "kept")
    assert places_kept(tmp_path / "kept") == sorted(
        i for of_task in expected for i in of_task[: limit or None]
    )
    assert decision.params == params.model_dump()
    assert decision.episodes_manifest_sha256 == sha256_file(episodes / MANIFEST)


@pytest.mark.parametrize("limit", [0, 1, 7, 1000])
def test_a_total_keeps_the_first_of_what_would_be_kept(
    episodes: Path, tmp_path: Path, limit: int
) -> None:
    filter_episodes(filter_params(), episodes, tmp_path / "all")
    filter_episodes(filter_params(max_episodes=limit), episodes, tmp_path / "some")
    kept = places_kept(tmp_path / "some")
    assert kept == places_kept(tmp_path / "all")[: limit or None]


def test_every_episode_is_kept_or_dropped_for_a_reason(episodes: Path, tmp_path: Path) -> None:
    params = filter_params(tasks=["pick"], max_episodes_per_task=3)
    filter_episodes(params, episodes, tmp_path / "kept")
    kept = set(places_kept(tmp_path / "kept"))
    dropped = {each["index"]: each for each in read_json(tmp_path / "kept" / KEPT)["dropped"]}
    assert kept.isdisjoint(dropped)
    assert kept | set(dropped) == set(range(COUNT))
    for index, episode in enumerate(synthetic_episodes(COUNT)):
        if index in dropped:
            reason = "over_limit" if episode.task == "pick" else "task_not_kept"
            assert dropped[index]["reason"] == (reason if episode.success else "failed")
            assert dropped[index]["failure"] == episode.failure
            assert dropped[index]["task"] == episode.task


@pytest.mark.parametrize("limit", [0, 5])
@pytest.mark.parametrize("tasks", [[], ["pick"]])
def test_a_decision_is_json_of_the_one_spelling_and_says_places(
    tmp_path: Path, tasks: list[str], limit: int
) -> None:
    made = [replace(e, failure='ä "b"\n' if e.failure else "") for e in synthetic_episodes(COUNT)]
    episodes = write_raw(tmp_path / "episodes", made)
    filter_episodes(filter_params(tasks=tasks, max_episodes=limit), episodes, tmp_path / "kept")
    text = (tmp_path / "kept" / KEPT).read_text()
    assert text == json_text(json.loads(text))
    assert json.loads(text)["kept"] == places_kept(tmp_path / "kept")
    assert len(load_kept(tmp_path / "kept").is_kept) == COUNT


def test_nothing_dropped_is_an_empty_list(tmp_path: Path) -> None:
    made = [e for e in synthetic_episodes(COUNT) if e.success]
    filter_episodes(filter_params(), write_raw(tmp_path / "all", made), tmp_path / "kept")
    text = (tmp_path / "kept" / KEPT).read_text()
    assert text == json_text(json.loads(text))
    assert load_kept(tmp_path / "kept").is_kept == bytes([1]) * len(made)


def test_summary_adds_up(episodes: Path, tmp_path: Path) -> None:
    summary = filter_episodes(filter_params(tasks=["pick"]), episodes, tmp_path / "kept")
    assert json.loads((tmp_path / "kept" / "summary.json").read_text()) == summary
    assert summary["num_episodes"] == COUNT
    tasks = summary["tasks"]
    assert tasks["place"]["num_kept"] == 0 < tasks["pick"]["num_kept"] == summary["num_kept"]
    for task, of_task in tasks.items():
        expected = [e for e in synthetic_episodes(COUNT) if e.task == task]
        num_failures = sum(of_task["failures"].values())
        assert of_task["num_episodes"] == len(expected)
        assert num_failures == sum(not e.success for e in expected) > 0
        assert of_task["success_rate"] == (len(expected) - num_failures) / len(expected)
        assert "" not in of_task["failures"]


def test_same_inputs_give_the_same_bytes_without_reading_arrays(
    episodes: Path, tmp_path: Path
) -> None:
    filter_episodes(filter_params(), episodes, tmp_path / "a")
    for tar in episodes.glob("*.tar"):
        tar.unlink()
    filter_episodes(filter_params(), episodes, tmp_path / "b")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert set(files_of(tmp_path / "a")) == {"kept.json", "summary.json"}


def test_a_task_that_does_not_occur_is_named(episodes: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"filter\.tasks names 'pour', .* only pick, place:"):
        filter_episodes(filter_params(tasks=["pick", "pour"]), episodes, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("tasks", [[], ["pick"]])
def test_keeping_nothing_is_refused(tmp_path: Path, tasks: list[str]) -> None:
    failure = replace(synthetic_episode(0), success=False, task="pick")
    folder = write_raw(tmp_path / "episodes", [failure])
    with pytest.raises(UserError, match="No episode"):
        filter_episodes(filter_params(tasks=tasks), folder, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_missing_episodes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere/manifest\.json is missing"):
        filter_episodes(filter_params(), tmp_path / "nowhere", tmp_path / "kept")
