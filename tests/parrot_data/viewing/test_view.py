"""The page holds every episode once, to the last bit, and nothing that it should not."""

from __future__ import annotations

import dataclasses
import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from page_data import (
    HOSTILE,
    frames_in,
    given_by,
    hostile_episodes,
    numbers,
    pieces_of,
    rows_of,
)
from PIL import Image
from synthetic import (
    SPECS,
    files_of,
    filter_params,
    make_spec,
    shard_params,
    synthetic_episode,
    synthetic_episodes,
    write_raw,
)
from typer.testing import CliRunner

from cli.main import app
from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec, ImageSpec, VectorSpec
from parrot_data.errors import UserError
from parrot_data.filter import filter_episodes
from parrot_data.shard import shard
from parrot_data.stores.entries import entry_of
from parrot_data.view import view
from parrot_data.viewing import scripts
from parrot_data.viewing.facets import MOST_FACETS, facets_of
from parrot_data.viewing.page_files import PAGE_FILES
from parrot_data.viewing.scripts import Blocks


def assert_shows(page: Path, episodes: list[Episode], spec: EpisodeSpec) -> None:
    """Every episode stands in index and blocks once, with its own values."""
    about, pieces = given_by(page / "data" / "dataset.js"), pieces_of(page)
    rows = rows_of(page)
    assert [row[0] for row in rows] == [episode.index for episode in episodes]
    keys = Counter(key for block in pieces for key in block)
    assert set(keys.values()) == {1}
    assert {key for key in keys if key.isdigit()} == {str(at) for at in range(len(episodes))}
    for position, (row, episode) in enumerate(zip(rows, episodes, strict=True)):
        assert about["tasks"][row[1]] == episode.task
        assert bool(row[2]) == episode.success
        assert (about["failures"][row[3]] if row[3] >= 0 else "") == episode.failure
        assert row[4] == episode.num_steps
        told = pieces[row[6]][str(position)]
        assert told["facts"] == episode.facts
        assert told["content_hash"] == episode.content_hash()
        arrays = episode.arrays()
        for name, text in told["arrays"].items():
            assert numbers(text).tobytes() == np.ascontiguousarray(arrays[name]).tobytes()
        assert told["arrays"].keys() == {"actions", "rewards"} | {
            f"observation.{name}" for name in spec.vectors
        }
        for name in spec.images:
            frames = frames_in(pieces, position, name, spec, episode.num_steps + 1)
            assert told["images"][name]["is_exact"]
            assert (frames == episode.observations[name]).all()


@pytest.mark.parametrize("name", SPECS)
def test_every_episode_of_any_spec_is_there_once(tmp_path: Path, name: str) -> None:
    spec = SPECS[name]
    episodes = synthetic_episodes(9, spec=spec)
    view(write_raw(tmp_path / "raw", episodes, spec), tmp_path / "page")
    assert_shows(tmp_path / "page", episodes, spec)


def test_shards_show_the_kept_episodes(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", synthetic_episodes(12))
    filter_episodes(filter_params(), raw, tmp_path / "kept")
    shard(shard_params(), raw, tmp_path / "kept", tmp_path / "shards")
    view(tmp_path / "shards", tmp_path / "page")
    kept = [episode for episode in synthetic_episodes(12) if episode.success]
    assert_shows(tmp_path / "page", kept, SPECS["tabletop-like"])


def test_more_episodes_than_fit_one_file_of_each_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parrot_data.viewing.page_writer.ROWS_PER_INDEX", 50)
    monkeypatch.setattr(scripts, "BYTES_PER_BLOCK", 20_000)
    spec = SPECS["two images"]
    episodes = [synthetic_episode(index, spec=spec, num_steps=3) for index in range(120)]
    view(write_raw(tmp_path / "raw", episodes, spec, episodes_per_file=60), tmp_path / "page")
    assert_shows(tmp_path / "page", episodes, spec)
    names = [path.name for path in (tmp_path / "page" / "data").iterdir()]
    assert sorted(name for name in names if name[:5] in ("index", "thumb")) == [
        "index-00000.js", "index-00001.js", "index-00002.js",
        "thumbnails-00000.webp", "thumbnails-00001.webp",
    ]  # fmt: skip
    assert sum(name.startswith("block") for name in names) > 3


def test_no_block_holds_more_than_is_read_at_once(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path)
    for episode in range(130):
        blocks.begin_episode()
        for part in range(2):
            number = blocks.put(f"{episode}/{part}", "x" * (60_000 if episode > 100 else 6))
    blocks.close()
    found = [given_by(path) for path in sorted(tmp_path.glob("*.js"))]
    assert blocks.num_blocks == len(found) == number + 1
    assert sum(len(block) for block in found) == 260
    assert all(len({key.split("/")[0] for key in block}) <= 51 for block in found)
    sizes = [path.stat().st_size for path in tmp_path.glob("*.js")]
    assert max(sizes) < scripts.BYTES_PER_BLOCK + 70_000


def test_the_same_bytes_twice_and_after_an_interruption(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", synthetic_episodes(9))
    view(raw, tmp_path / "page")
    first = files_of(tmp_path / "page")

    def cut_short(done: int, total: int, note: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        view(raw, tmp_path / "other", progress=cut_short)
    assert not (tmp_path / "other").exists()
    for out in ("other", "page"):  # afresh, and in place of the page that is there
        view(raw, tmp_path / out)
        assert files_of(tmp_path / out) == first
    assert not list(tmp_path.glob("*.partial"))


def test_what_is_no_page_is_not_replaced(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", synthetic_episodes(3))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("precious")
    done = CliRunner().invoke(app, ["view", str(raw), "--out", str(tmp_path / "mine")])
    assert done.exit_code == 1
    assert "index.html, which is no output of `parrot view`" in done.stderr
    assert files_of(tmp_path / "mine") == {"index.html": b"precious"}
    for out in (raw, tmp_path):
        assert CliRunner().invoke(app, ["view", str(raw), "--out", str(out)]).exit_code == 1


def test_a_damaged_dataset_is_told(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", synthetic_episodes(3))
    tar = next(raw.glob("*.tar"))
    content = bytearray(tar.read_bytes())
    content[len(content) // 3] ^= 255
    tar.write_bytes(content)
    with pytest.raises(UserError):
        view(raw, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_no_file_names_anything_outside(tmp_path: Path) -> None:
    spec = SPECS["two images"]
    view(write_raw(tmp_path / "raw", hostile_episodes(5, spec), spec), tmp_path / "page")
    files = files_of(tmp_path / "page")
    assert set(PAGE_FILES) < files.keys()
    for name, content in files.items():
        if not name.endswith(".webp"):
            assert not re.search(rb"https?:|//cdn|@import|\bimport\(|fetch\(|eval\(", content), name
            assert str(tmp_path).encode() not in content
    assert HOSTILE["task"].encode() not in b"".join(files.values())
    page = files["index.html"].decode()
    scripts_named = re.findall(r'(?:src|href)="(page/[^"]+)"', page)
    assert sorted(["index.html", *scripts_named]) == sorted(PAGE_FILES)


def test_numbers_that_are_not_finite_are_shown_and_counted(tmp_path: Path) -> None:
    spec = make_spec({"state": VectorSpec(dim=3)}, 2, is_bounded=False)
    episodes = synthetic_episodes(4, spec=spec)
    for episode in episodes:
        episode.observations["state"][:, 1] = np.nan
        episode.observations["state"][0, 2] = np.inf
        episode.actions[-1, 0] = -np.inf
        episode.rewards[0] = np.nan
    view(write_raw(tmp_path / "raw", episodes, spec), tmp_path / "page")
    assert_shows(tmp_path / "page", episodes, spec)
    about = given_by(tmp_path / "page" / "data" / "dataset.js")
    state = next(curve for curve in about["curves"] if curve["name"] == "observation.state")
    num_rows = sum(episode.num_steps + 1 for episode in episodes)
    assert state["num_not_finite"] == [0, num_rows, 4]
    assert state["min"][1] is None
    assert all(row[5] is None for row in rows_of(tmp_path / "page"))


def test_ranges_are_those_of_all_numbers(tmp_path: Path) -> None:
    spec = SPECS["vectors alone"]
    episodes = synthetic_episodes(9, spec=spec)
    view(write_raw(tmp_path / "raw", episodes, spec), tmp_path / "page")
    for curve in given_by(tmp_path / "page" / "data" / "dataset.js")["curves"]:
        rows = np.concatenate([each.arrays()[curve["name"]] for each in episodes]).astype(float)
        rows = rows.reshape(len(rows), -1)
        assert curve["min"] == rows.min(axis=0).tolist()
        assert curve["max"] == rows.max(axis=0).tolist()
        np.testing.assert_allclose(curve["mean"], rows.mean(axis=0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(curve["std"], rows.std(axis=0), rtol=1e-9, atol=1e-12)


def test_a_large_image_is_nearly_what_was_recorded(tmp_path: Path) -> None:
    """Noise is the worst there is; what a camera sees is smooth."""
    spec = make_spec({"camera": ImageSpec(height=300, width=400)}, 2)
    ramp = np.linspace(0, 200, 400, dtype=np.float32)[None, :, None] * np.ones((300, 1, 3))
    noise = np.random.default_rng(0).normal(0, 4, (12, 300, 400, 1))
    images = np.clip(ramp + 20 + noise, 0, 255).astype(np.uint8)
    episode = dataclasses.replace(
        synthetic_episode(0, spec=spec, num_steps=11), observations={"camera": images}
    )
    view(write_raw(tmp_path / "raw", [episode], spec), tmp_path / "page")
    pieces = pieces_of(tmp_path / "page")
    camera = next(block["0"] for block in pieces if "0" in block)["images"]["camera"]
    assert len(camera["sheets"]) == 2
    assert not camera["is_exact"]
    frames = frames_in(pieces, 0, "camera", spec, 12)
    assert np.abs(frames.astype(int) - images).mean() < 5
    total = sum(path.stat().st_size for path in tmp_path.glob("page/data/*.js"))
    assert total < images.nbytes / 4


def test_thumbnails_are_the_first_image_and_the_last(tmp_path: Path) -> None:
    spec = SPECS["tabletop-like"]
    episodes = synthetic_episodes(12, spec=spec)
    for episode in episodes:
        images = episode.observations["image"]
        images[:], images[0], images[-1] = 255, 10 * episode.index, 200 - 10 * episode.index
    view(write_raw(tmp_path / "raw", episodes, spec), tmp_path / "page")
    content = (tmp_path / "page" / "data" / "thumbnails-00000.webp").read_bytes()
    sprite = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    assert sprite.shape == (16, 160, 3)
    for at in range(12):
        y, x = at // 10 * 8, at % 10 * 16
        assert (sprite[y : y + 8, x : x + 8] == 10 * at).all()
        assert (sprite[y : y + 8, x + 8 : x + 16] == 200 - 10 * at).all()


def entries(*facts: dict) -> list:
    episodes = (synthetic_episode(index, num_steps=1) for index in range(len(facts)))
    return [
        entry_of(dataclasses.replace(episode, task="pick", facts=told))
        for episode, told in zip(episodes, facts, strict=True)
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b", "a"], ["a", "b"]),
        ([["b", "a"], ["a"], []], ["a", "b"]),
        ([True, False, True], ["false", "true"]),
        (["a", None, "a"], ["a"]),
        ([1, 2, 2], ["1", "2"]),
        (["a", "a", "a"], None),  # tells nothing apart
        (["a", "b", "c"], None),  # a name of each
        (["pick", "pick", "pick"], None),
        ([{"x": 1}, {"x": 1}, {"x": 2}], None),
        ([None, None, ""], None),
    ],
)
def test_a_fact_is_a_facet_if_it_tells_groups_apart(values: list, expected: object) -> None:
    facets = facets_of(entries(*({"key": value} for value in values)))
    found = {facet.name: list(facet.codes) for facet in facets.facts}
    assert found == ({} if expected is None else {"key": expected})


def test_facets_stay_few_whatever_the_facts_are() -> None:
    facets = facets_of(entries(*({f"key{i}": "a", f"other{i}": "b"} for i in range(100))))
    assert facets.facts == []
    everywhere = {f"key{i}": "a" for i in range(100)}
    some = facets_of(entries(everywhere, {}, everywhere))
    assert 0 < len(some.facts) <= MOST_FACETS
