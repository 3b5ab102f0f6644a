"""Several processes write the bytes of one, whatever the arrays, and fail in the same words."""

from __future__ import annotations

import multiprocessing
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import (
    SPECS,
    files_of,
    make_spec,
    shard_params,
    synthetic_episode,
    synthetic_episodes,
    write_inputs,
)

from parrot_data.episodes.spec import ArraySpec, EpisodeSpec, ImageSpec, VectorSpec
from parrot_data.errors import UserError
from parrot_data.shard import shard
from parrot_data.stores import write_shards
from parrot_data.stores.entries import EpisodeEntry, entry_of
from parrot_data.stores.parallel_shards import cut_blocks, plan_blocks
from parrot_data.stores.zarr_writer import ZarrLayout

LARGE = {
    "an image": make_spec({"front": ImageSpec(height=24, width=16), "arm": VectorSpec(dim=3)}, 2),
    # Cut just so, cut otherwise (as chunks have a limit), and large without being an image
    "all kinds": make_spec(
        {
            "wrist": ImageSpec(height=20, width=20),
            "front": ImageSpec(height=24, width=20),
            "wide": ImageSpec(height=240, width=240),
            "scan": VectorSpec(dim=300),
        },
        3,
        {"depth": ArraySpec(dtype="float32", shape=[20, 20])},
    ),
}


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_shards, "EPISODES_A_WORKER", 1)


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        (SPECS["tabletop-like"], 200),
        (SPECS["vectors alone"], 200),
        (LARGE["an image"], 120),
        (LARGE["all kinds"], 40),
    ],
    ids=["tabletop-like", "vectors alone", *LARGE],
)
def test_any_number_of_workers_writes_the_same_bytes(
    spec: EpisodeSpec, count: int, tmp_path: Path
) -> None:
    is_wide = spec == LARGE["all kinds"]  # whose episodes are short, or the test would be long
    episodes = [
        synthetic_episode(index, spec=spec, num_steps=3 + index % 9 if is_wide else None)
        for index in range(count)
    ]
    inputs = write_inputs(tmp_path, episodes, spec)
    calls: list[tuple[int, int]] = []
    alone = shard(shard_params(), *inputs, tmp_path / "alone")
    for workers in (2, 3):
        out = tmp_path / f"by-{workers}"
        together = shard(
            shard_params(),
            *inputs,
            out,
            workers=workers,
            progress=lambda d, t, _: calls.append((d, t)),
        )
        assert together == alone
        assert files_of(out) == files_of(tmp_path / "alone")
        total = 2 * int(alone["num_episodes"])  # type: ignore[call-overload]
        assert calls[-1] == (total, total)
        # More than one block, or nothing was shared out
        assert len([done for done, _ in calls if done <= total]) < 2 * total
        calls.clear()
    assert not multiprocessing.active_children()


def test_an_episode_that_one_process_refuses_is_refused_by_several(tmp_path: Path) -> None:
    spec = LARGE["an image"]
    episodes = synthetic_episodes(120, spec=spec)
    kept = next(e for e in reversed(episodes) if e.success)
    kept.observations["arm"][2, 1] = np.nan
    inputs = write_inputs(tmp_path, episodes, spec)
    for workers in (1, 2):
        with pytest.raises(UserError, match=f"episode {kept.index}: its arm hold a number"):
            shard(shard_params(), *inputs, tmp_path / "shards", workers=workers)
        assert not (tmp_path / "shards").exists()
    assert not multiprocessing.active_children()


def test_a_damaged_member_is_named_by_whoever_reads_it(tmp_path: Path) -> None:
    inputs = write_inputs(
        tmp_path, synthetic_episodes(120, spec=LARGE["an image"]), LARGE["an image"]
    )
    tar = sorted(inputs[0].glob("*.tar"))[-1]
    content = bytearray(tar.read_bytes())
    for member in re.finditer(b"observation.front.npy.zst", bytes(content)):
        content[member.start() + 512 + 40] ^= 1
    tar.write_bytes(content)
    said = []
    for workers in (1, 2):
        with pytest.raises(UserError, match=f"{tar.name}.*damaged") as raised:
            shard(shard_params(), *inputs, tmp_path / "shards", workers=workers)
        said.append(str(raised.value))
    assert said[0] == said[1]


def test_an_interrupt_leaves_no_process_and_the_next_run_is_whole(tmp_path: Path) -> None:
    spec = LARGE["an image"]
    inputs = write_inputs(tmp_path, synthetic_episodes(120, spec=spec), spec)

    def interrupted(done: int, total: int, note: str) -> None:
        if done > total // 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shard(shard_params(), *inputs, tmp_path / "a", workers=2, progress=interrupted)
    assert not multiprocessing.active_children()
    shard(shard_params(), *inputs, tmp_path / "a", workers=2)
    shard(shard_params(), *inputs, tmp_path / "b")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def entries_of(lengths: list[int]) -> list[EpisodeEntry]:
    first = entry_of(synthetic_episode(0, num_steps=1))
    fields = {name: getattr(first, name) for name in EpisodeEntry.__slots__}
    return [
        EpisodeEntry(**{**fields, "index": index, "num_steps": steps})
        for index, steps in enumerate(lengths)
    ]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 40))
def test_blocks_hold_every_row_once_and_every_episode_begins_in_one(
    lengths: list[int], block_rows: int
) -> None:
    blocks = list(cut_blocks([(entry, {}) for entry in entries_of(lengths)], block_rows))
    rows, begun = [], []
    for number, block in enumerate(blocks):
        held = [(e.index, row) for e, _ in block.described for row in range(e.num_steps + 1)]
        rows += held[block.num_before : block.num_before + block.stop_row - block.first_row]
        indices = [entry.index for entry, _ in block.described]
        begun += indices[1:] if block.num_before else indices
        assert block.first_row == number * block_rows
        # No more than those that share rows with the block
        assert block.num_before < block.described[0][0].num_steps + 1
        last = block.described[-1][0].num_steps + 1
        assert len(held) - last < block.num_before + block.stop_row - block.first_row
    assert rows == [(i, row) for i, steps in enumerate(lengths) for row in range(steps + 1)]
    assert begun == list(range(len(lengths)))
    assert {block.stop_row - block.first_row for block in blocks[:-1]} <= {block_rows}


@pytest.mark.parametrize("longest", [1, 26, 5000])
def test_blocks_end_where_files_of_images_do_and_are_longer_than_episodes(longest: int) -> None:
    layout = ZarrLayout(16, 3, 3)
    plan = plan_blocks(LARGE["all kinds"], layout, 10**6, longest)
    assert plan.large == ("observation.wide",)  # 12 rows a chunk, as a chunk has 2 MiB
    assert plan.block_rows % (3 * 12) == 0
    assert plan.block_rows >= 8 * longest
