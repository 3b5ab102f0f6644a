"""Batches from tars that stream by: a buffer of episodes moves through all of them, epoch by epoch.

Each epoch has the tars in another order, and deals them out to the processes. What the buffer holds
at a step follows from seed, step and number of processes alone: a training that goes on fills it
anew, from where the checkpoint's step is, and reads no more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import webdataset
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.arrival import Arrivals
from parrot_data.stores.tar_shards import Sample, decode_sample, read_samples
from parrot_data.streams import generator
from parrot_models.training.batches import Batches, held_out_of
from parrot_models.training.held_out import Places, gather_held_out
from parrot_models.training.params import NUM_BUFFER_PARTS
from parrot_models.training.ranks import ALONE, Ranks
from parrot_models.training.transitions import Batch, Transitions, decoded_transitions

T = TypeVar("T")


class StreamedBatches(Batches):
    """The transitions of those episodes that are in the buffer, and of all that are held out.

    Args:
        arrivals: the dataset, of this process's own.
        cache: scratch folder of the first process, for what is held out.
        held_out_fraction: as for `TransitionBatches`: the very same episodes are held out.
        buffer_episodes: in memory at once.
        seed: of the order of tars.
        progress: called as the tars are read through for what is held out.
        ranks: the processes that learn from them together, each from its own tars.

    Raises:
        UserError: a tar is missing, altered or did not arrive, or there are fewer than processes.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        cache: Path,
        held_out_fraction: float,
        buffer_episodes: int,
        seed: int,
        progress: Progress = silent,
        ranks: Ranks = ALONE,
    ) -> None:
        manifest = arrivals.manifest
        held_out = set(held_out_of(manifest, arrivals.folder, held_out_fraction))
        first = ranks.from_first(lambda: gather_held_out(arrivals, held_out, cache, progress))
        self._unseen = _numbered(decoded_transitions(cache, manifest)) if ranks.is_first else None
        self._buffer = _Buffer(arrivals, Places(first, held_out), buffer_episodes, seed, ranks)
        self._steps_per_episode = manifest.num_transitions / manifest.num_episodes
        super().__init__(manifest, *self._now(), ranks)

    def move_to(self, step: int, batch_size: int) -> None:
        """Let the buffer be where it is at a step, when each takes so many transitions."""
        num_taken = step * batch_size / self.ranks.count / self._steps_per_episode
        if self._buffer.move_to(num_taken):
            self.version += 1
            self.transitions, self.train_rows, self.held_out_rows = self._now()

    def shared(self, make: Callable[[], T]) -> T:
        """What is drawn where the stream begins, by the first process for all."""
        self.move_to(0, 1)
        return self.ranks.from_first(make)

    def sample(self, batch_size: int, generator: np.random.Generator) -> Batch:
        """Draw training transitions from where the stream begins; the same in all processes."""
        return self.shared(lambda: self.transitions.gather(self.draw_rows(batch_size, generator)))

    def draw_share(
        self, count: int, size: int, generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """This process's part of a batch, of `count` things that it alone has."""
        return self.draw(count, size // self.ranks.count, self.ranks.own(generator))

    def close(self) -> None:
        """Stop reading ahead."""
        self._buffer.close()

    def _now(self) -> tuple[Transitions, NDArray[np.int64], NDArray[np.int64]]:
        parts = self._buffer.parts
        seen = sum(len(part.actions) for part in parts)
        if self._unseen is not None:
            parts = [*parts, self._unseen]
        rows = np.arange(sum(len(part.actions) for part in parts))
        return _joined(parts), rows[:seen], rows[seen:]


class _Buffer:
    """Parts of the stream of one process; those that come next are read in a thread.

    Args:
        arrivals, places: the dataset.
        num_episodes: in memory, at most.
        seed, ranks: of the order.

    Attributes:
        parts: in the order in which they came.
    """

    def __init__(
        self, arrivals: Arrivals, places: Places, num_episodes: int, seed: int, ranks: Ranks
    ) -> None:
        self._course = _Course(places, seed, ranks, arrivals.name)
        self._episodes = _Episodes(arrivals, places, self._course)
        # If there is room for all of them they come once, and stay.
        self._is_all = sum(places.num_learned_from()) <= num_episodes
        self._size = (
            self._course.num_in_epoch(0) if self._is_all else num_episodes // NUM_BUFFER_PARTS
        )
        self._reader = ThreadPoolExecutor(1, "tars")
        self._ahead: tuple[int, Future[Transitions]] | None = None
        self._start = 0
        self.parts: list[Transitions] = []
        self._fill(0)

    def move_to(self, num_taken: float) -> bool:
        """Let the buffer begin with the part in which so many episodes were taken before.

        Returns:
            Whether that is another one than it began with.
        """
        start = 0 if self._is_all else int(num_taken / self._size)
        if start == self._start:
            return False
        self._fill(start)
        return True

    def close(self) -> None:
        """End the thread, and what it reads."""
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._episodes.close()

    def _fill(self, start: int) -> None:
        num_parts = 1 if self._is_all else NUM_BUFFER_PARTS - 1
        kept = {
            self._start + place: part
            for place, part in enumerate(self.parts)
            if start <= self._start + place < start + num_parts
        }
        self.parts.clear()
        for number in range(start, start + num_parts):
            self.parts.append(kept[number] if number in kept else self._part(number))
        self._start = start
        if not self._is_all:
            number = start + num_parts
            self._ahead = number, self._reader.submit(self._read, number)

    def _part(self, number: int) -> Transitions:
        if self._ahead is not None:
            ahead, future = self._ahead
            self._ahead = None
            if ahead == number:
                return future.result()
            with suppress(UserError):  # of what nobody asks for
                future.result()
        return self._read(number)

    def _read(self, number: int) -> Transitions:
        return _part_of(self._episodes.take(number * self._size, self._size))


class _Course:
    """The endless order in which a process reads tars: a function of seed, epoch and ranks.

    Args:
        places: of the dataset.
        seed: of the order.
        ranks: the processes; each has every `count`-th tar of an epoch.
        name: of the dataset, for errors.

    Raises:
        UserError: this process would have nothing to learn from.
    """

    def __init__(self, places: Places, seed: int, ranks: Ranks, name: str) -> None:
        self._sizes, self._seed, self._ranks = places.num_learned_from(), seed, ranks
        if len(self._sizes) < ranks.count or self.num_in_epoch(0) == 0:
            raise UserError(
                f"{name} has {len(self._sizes)} tars for {ranks.count} processes, each of which "
                "learns from its own: start fewer, or `parrot shard` with fewer "
                "shard.episodes_per_tar"
            )

    def tars(self, epoch: int) -> Sequence[int]:
        """This process's tars of an epoch, in order."""
        order = generator(self._seed, "stream: order of tars", epoch).permutation(len(self._sizes))
        return cast(list[int], order[self._ranks.rank :: self._ranks.count].tolist())

    def num_in_epoch(self, epoch: int) -> int:
        """Episodes that this process learns from in an epoch."""
        return sum(self._sizes[tar] for tar in self.tars(epoch))

    def after(self, position: int) -> Iterator[tuple[int, int]]:
        """Tars to read after so many episodes, each with how many of its episodes to pass over."""
        for epoch in count():
            for tar in self.tars(epoch):
                if position < self._sizes[tar]:
                    yield tar, position
                position = max(0, position - self._sizes[tar])


class _Episodes:
    """The episodes that a process learns from, one after the other, or from some place on."""

    def __init__(self, arrivals: Arrivals, places: Places, course: _Course) -> None:
        self._arrivals, self._places, self._course = arrivals, places, course
        self._stream: Iterator[Episode] | None = None
        self._position = 0

    def take(self, position: int, number: int) -> list[Episode]:
        """So many episodes, after as many as the position says."""
        if self._stream is None or position != self._position:
            self.close()
            self._stream = self._after(position)
        self._position = position + number
        return list(islice(self._stream, number))

    def close(self) -> None:
        """Give back the tar that is being read."""
        if self._stream is not None:
            self._stream.close()  # type: ignore[attr-defined]
            self._stream = None

    def _after(self, position: int) -> Iterator[Episode]:
        spec = self._arrivals.manifest.spec
        pipeline = webdataset.DataPipeline(
            lambda: self._course.after(position),
            self._samples,
            webdataset.map(lambda sample: decode_sample(sample, spec)),
        )
        yield from pipeline

    def _samples(self, tars: Iterator[tuple[int, int]]) -> Iterator[Sample]:
        """What is learned from of tars, but for what is to be passed over in each."""
        for number, num_passed in tars:
            with self._arrivals.tar(number) as path:
                samples = enumerate(
                    read_samples([path], self._arrivals.manifest.spec), self._places.first[number]
                )
                learned = (each for place, each in samples if place not in self._places.held_out)
                yield from islice(learned, num_passed, None)


def _part_of(episodes: Sequence[Episode]) -> Transitions:
    """The transitions of episodes; the last observation of each has no action, and is left out."""
    return Transitions(
        observations={
            name: np.concatenate([episode.observations[name][:-1] for episode in episodes])
            for name in sorted(episodes[0].observations)
        },
        actions=np.concatenate([episode.actions for episode in episodes]),
        episodes=np.repeat(
            np.arange(len(episodes), dtype=np.int32), [episode.num_steps for episode in episodes]
        ),
    )


def _numbered(transitions: Transitions) -> Transitions:
    """The same, their episodes numbered from 0 on without gaps."""
    _, numbers = np.unique(transitions.episodes, return_inverse=True)
    return replace(transitions, episodes=numbers.astype(np.int32))


def _joined(parts: Sequence[Transitions]) -> Transitions:
    """The transitions of all parts, whose arrays are not copied."""
    numbers, start = [], 0
    for part in parts:
        numbers.append(part.episodes + np.int32(start))
        start += int(part.episodes[-1]) + 1
    return Transitions(
        observations={
            name: _rows([part.observations[name] for part in parts])
            for name in parts[0].observations
        },
        actions=_rows([part.actions for part in parts]),
        episodes=np.concatenate(numbers),
    )


def _rows(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    # All that is asked of them is `take`, which numpy.take calls.
    return cast(NDArray[Any], Joined(arrays))


class Joined:
    """Arrays (N_i, ...) one after the other, of which rows are taken without joining them."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self._arrays = arrays
        self._starts = np.cumsum([0, *map(len, arrays)])
        self.dtype = arrays[0].dtype
        self.shape = (int(self._starts[-1]), *arrays[0].shape[1:])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.concatenate(self._arrays, dtype=dtype)

    def take(self, rows: NDArray[np.int64], axis: int = 0, **_others: Any) -> NDArray[Any]:
        """Rows (...), each a place along the first axis: (..., *shape of a row)."""
        assert axis == 0
        flat = np.asarray(rows).ravel()
        taken = np.empty((len(flat), *self.shape[1:]), self.dtype)
        part_of = np.searchsorted(self._starts, flat, "right") - 1
        for part in np.unique(part_of):
            places = np.flatnonzero(part_of == part)
            taken[places] = self._arrays[part][flat[places] - self._starts[part]]
        return taken.reshape((*np.shape(rows), *self.shape[1:]))
