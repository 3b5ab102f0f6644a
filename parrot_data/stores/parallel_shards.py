"""Writing both stores by several processes, in the bytes that one process writes.

This process reads the samples, still compressed, and cuts them into blocks. A worker decodes a
block, checks it and writes its images, whose files are its own: a block begins and ends where files
do. All else is a hundredth of the bytes: it comes back, and is written here, in order. One of the
workers begins with the tars, which it reads for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from parrot_data.episodes.episode import OBSERVATION
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.stores.picked import Described, Picked
from parrot_data.stores.statistics import DatasetStatistics, RunningStatistics, colours_of
from parrot_data.stores.tar_shards import decode_described
from parrot_data.stores.zarr_layout import (
    EPISODE_ENDS,
    METADATA,
    METADATA_ENDS,
    arrays_of,
)
from parrot_data.stores.zarr_writer import (
    SHORT_ROW_BYTES,
    ShardWriter,
    ZarrLayout,
    create,
    cut,
)
from parrot_data.workers import Worker, results

# At least so many: one that goes on from one block to the next is decoded for both.
EPISODES_PER_BLOCK = 8


@dataclass(frozen=True)
class BlockPlan:
    """How the episodes of a training set are shared out.

    Attributes:
        num_rows: observations of all of them.
        block_rows: observations a block.
        large: names of the arrays that workers write: the largest, and those cut just so.
    """

    num_rows: int
    block_rows: int
    large: tuple[str, ...]

    @property
    def num_blocks(self) -> int:
        """How many there are."""
        return -(-self.num_rows // self.block_rows)


def plan_blocks(
    spec: EpisodeSpec, layout: ZarrLayout, num_rows: int, longest_rows: int
) -> BlockPlan:
    """Plan blocks of whole files.

    Args:
        spec: of the episodes.
        layout: of the Zarr store.
        num_rows: observations of all episodes.
        longest_rows: observations of the longest.
    """
    candidates = {
        name: cut(array, layout).shard_rows
        for name, array in arrays_of(spec).items()
        if array.dimensions[0] == "observation" and array.row_bytes >= SHORT_ROW_BYTES
    }
    # The largest rows are the fewest a file; with none large, any number of rows will do
    file_rows = min(candidates.values(), default=layout.steps_per_chunk * layout.chunks_per_shard)
    large = tuple(name for name, rows in candidates.items() if rows == file_rows)
    num_files = -(-EPISODES_PER_BLOCK * longest_rows // file_rows)
    return BlockPlan(num_rows, num_files * file_rows, large)


def write_in_parallel(
    zarr_path: Path,
    write_tars: Callable[[Callable[[], None]], None],
    picked: Picked,
    layout: ZarrLayout,
    plan: BlockPlan,
    num_workers: int,
    progress: Callable[[int], None],
) -> DatasetStatistics:
    """Write both stores; gives the statistics of the episodes.

    Args:
        zarr_path: where.
        write_tars: writes the tars, and calls what it is given after each episode; picklable.
        picked: the episodes.
        layout: of the Zarr store.
        plan: of `plan_blocks` for these.
        num_workers: processes beside this one, two or more.
        progress: called with a number of episodes that are in one of both stores.

    Raises:
        UserError: as `Picked.samples`, `decode_described` and `RunningStatistics.add`.
    """
    spec = picked.spec
    arrays = create(zarr_path, spec, layout)
    for name in plan.large:
        arrays[name].resize((plan.num_rows, *arrays[name].shape[1:]))
    small = {name: ShardWriter(array) for name, array in arrays.items() if name not in plan.large}
    rest = _Rest(spec, small)
    blocks = cut_blocks(picked.samples(), plan.block_rows)
    items: Iterable[_Item] = chain([write_tars], blocks)
    start = partial(_opened, zarr_path, spec, plan.large)
    waiting: dict[int, _Decoded] = {}
    following = 1  # item 0 is the tars, of which nothing comes back
    with closing(results(start, items, num_workers, partial(progress, 1))) as worked_on:
        for number, decoded in worked_on:
            if decoded is not None:
                waiting[number] = decoded
            while following in waiting:
                block = waiting.pop(following)
                rest.add(block)
                progress(len(block.indices))
                following += 1
    rest.flush()
    return rest.statistics.result()


@dataclass(frozen=True)
class Block:
    """Episodes around some rows of the images.

    Attributes:
        first_row: of these rows.
        stop_row: behind the last of them.
        num_before: rows of the first episode that lie before them; then it belongs to an earlier
            block, and only its images are wanted.
        described: the episodes, still compressed.
    """

    first_row: int
    stop_row: int
    num_before: int
    described: list[Described]


def cut_blocks(described: Iterable[Described], block_rows: int) -> Iterator[Block]:
    """Cut a stream of episodes where so many observations are full.

    An episode across such a cut is in both blocks. The last block is as long as it comes.
    """
    first_row = begins = row = 0  # of the block, of the first episode in it, of the next episode
    episodes: list[Described] = []
    for entry, sample in described:
        episodes.append((entry, sample))
        row += entry.num_steps + 1
        while row >= first_row + block_rows:
            stop_row = first_row + block_rows
            yield Block(first_row, stop_row, first_row - begins, episodes)
            first_row = stop_row
            is_cut = row > first_row
            episodes, begins = episodes[-1:] if is_cut else [], row
            if is_cut:
                begins -= entry.num_steps + 1
    if episodes:
        yield Block(first_row, row, first_row - begins, episodes)


@dataclass(frozen=True)
class _Decoded:
    """What comes back of a block: of the episodes that begin in it, all but their images.

    Attributes:
        indices: of the episodes.
        num_steps: of each.
        metadata: of each.
        arrays: their rows behind each other, by the names of `Episode.arrays`.
        colours: how often each colour of each image is each value.
    """

    indices: list[int]
    num_steps: list[int]
    metadata: list[bytes]
    arrays: dict[str, NDArray[Any]]
    colours: dict[str, NDArray[np.int64]]


_Item = Block | Callable[[Callable[[], None]], None]


@contextmanager
def _opened(
    path: Path, spec: EpisodeSpec, large: tuple[str, ...]
) -> Iterator[Worker[_Item, _Decoded | None]]:
    """What works on blocks, and on the tars, in a process of its own."""
    root = zarr.open_group(path, mode="r+", zarr_format=3)
    paths = {name: array.path for name, array in arrays_of(spec).items()}
    arrays: dict[str, zarr.Array[Any]] = {}
    for name in large:
        array = root[paths[name]]
        assert isinstance(array, zarr.Array)
        arrays[name] = array

    def work(item: _Item, tick: Callable[[], None]) -> _Decoded | None:
        if isinstance(item, Block):
            return _decode(item, spec, arrays)
        item(tick)
        return None

    yield work


def _decode(block: Block, spec: EpisodeSpec, large: Mapping[str, zarr.Array[Any]]) -> _Decoded:
    """Decode and check a block, write its images, give the rest."""
    writers = {name: ShardWriter(array, block.first_row) for name, array in large.items()}
    wanted = {f"{OBSERVATION}.{name}" for name in spec.vectors} | {"actions"}
    decoded = _Decoded([], [], [], {}, colours_of([], spec.images))
    rows: dict[str, list[NDArray[Any]]] = {}
    room = block.stop_row - block.first_row
    for place, (entry, sample) in enumerate(block.described):
        episode = decode_described(entry, sample, spec)
        arrays = episode.arrays()
        before = block.num_before if place == 0 else 0
        for name, writer in writers.items():
            writer.append(arrays[name][before : before + room])
        room -= min(room, episode.num_steps + 1 - before)
        if before:
            continue
        decoded.indices.append(episode.index)
        decoded.num_steps.append(episode.num_steps)
        decoded.metadata.append(episode.metadata_text())
        for name, values in arrays.items():
            if name in wanted or name not in large:
                rows.setdefault(name, []).append(values)
        for name, counts in colours_of([episode], spec.images).items():
            decoded.colours[name] += counts
    for writer in writers.values():
        writer.flush()
    decoded.arrays.update({name: np.concatenate(each) for name, each in rows.items()})
    return decoded


class _Rest:
    """Writes all but the images, and counts; takes blocks in their order."""

    def __init__(self, spec: EpisodeSpec, writers: Mapping[str, ShardWriter]) -> None:
        self.statistics = RunningStatistics(spec)
        self._vectors, self._writers = list(spec.vectors), writers
        self._num_steps = self._num_bytes = 0

    def add(self, block: _Decoded) -> None:
        """Take in what came back of a block."""
        if not block.indices:
            return
        steps = np.cumsum(block.num_steps, dtype=np.int64)
        num_bytes = np.cumsum([len(text) for text in block.metadata], dtype=np.int64)
        rows = {
            **block.arrays,
            EPISODE_ENDS: self._num_steps + steps,
            METADATA: np.frombuffer(b"".join(block.metadata), dtype=np.uint8),
            METADATA_ENDS: self._num_bytes + num_bytes,
        }
        for name, writer in self._writers.items():
            writer.append(rows[name])
        self._num_steps, self._num_bytes = int(rows[EPISODE_ENDS][-1]), int(rows[METADATA_ENDS][-1])
        self._count(block, steps)

    def _count(self, block: _Decoded, ends: NDArray[np.int64]) -> None:
        """Take the numbers in episode by episode: to a last bit, sums depend on their order."""
        self.statistics.add_colours(block.colours)
        vectors = {name: block.arrays[f"{OBSERVATION}.{name}"] for name in self._vectors}
        for place, (index, num_steps) in enumerate(
            zip(block.indices, block.num_steps, strict=True)
        ):
            stop = int(ends[place])
            # One observation an episode more than there are steps
            last = stop + place + 1
            observations = {
                name: rows[last - num_steps - 1 : last] for name, rows in vectors.items()
            }
            actions = block.arrays["actions"][stop - num_steps : stop]
            self.statistics.add_numbers(index, actions, observations)

    def flush(self) -> None:
        """Write what is collected."""
        for writer in self._writers.values():
            writer.flush()
