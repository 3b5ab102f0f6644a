"""Where a training's shards lie, and how batches come of them: as section params say."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from parrot_data.errors import UserError
from parrot_data.progress import Progress
from parrot_data.stores.arrival import Arrivals, is_address
from parrot_data.stores.manifest import ShardsManifest, load_manifest
from parrot_data.stores.proof import DamagedError, read_sealed, write_sealed
from parrot_data.stores.tar_cache import TarCache, default_folder
from parrot_models.training.batches import Batches, TransitionBatches
from parrot_models.training.params import Memmap, Source, Stream, TrainingParams
from parrot_models.training.ranks import Ranks
from parrot_models.training.stream import StreamedBatches

BYTES_PER_GB = 10**9
_STREAM = "stream.json"  # in the cache: by how many processes the stream was begun


@dataclass(frozen=True)
class Shards:
    """A dataset to train on, before anything of it is decoded.

    Attributes:
        name: the folder, or its address.
        folder: where manifest and entries lie on this machine.
        manifest: of the dataset.
        arrivals: its tars, if they are streamed.
    """

    name: str
    folder: Path
    manifest: ShardsManifest
    arrivals: Arrivals | None

    @property
    def is_elsewhere(self) -> bool:
        """Whether the folder is not the dataset's own, but one for copies."""
        return is_address(self.name)

    @contextmanager
    def batches(
        self, cache: Path, params: TrainingParams, progress: Progress, ranks: Ranks
    ) -> Iterator[Batches]:
        """What a training draws from them, while the block lasts.

        Args:
            cache: scratch folder of the first process, for what is decoded.
            params: source, seed and share of what is held out.
            progress: called as data are decoded.
            ranks: the processes that train together.

        Raises:
            UserError: a shard is missing, damaged or altered, or a stream was begun by another
                number of processes.
        """
        fraction, source = params.held_out_fraction, params.source
        if self.arrivals is None or isinstance(source, Memmap):
            yield TransitionBatches(self.folder, cache, fraction, progress, ranks)
            return
        if ranks.is_first:
            _check_begun_by(ranks.count, cache)
        streamed = StreamedBatches(
            self.arrivals, cache, fraction, source.buffer_episodes, params.seed, progress, ranks
        )
        try:
            yield streamed
        finally:
            streamed.close()


@contextmanager
def opened(data: Path | str, source: Source) -> Iterator[Shards]:
    """A dataset, while the block lasts.

    Args:
        data: a folder, or the address of one, which can only be streamed.
        source: how it is read.

    Raises:
        UserError: it is not there, its manifest is not whole, or it cannot be read so.
    """
    name = str(data)
    if isinstance(source, Memmap):
        if is_address(name):
            raise UserError(
                f"{name} is no folder, and the source memmap reads a folder of this machine: set "
                "source to stream, {kind: stream, buffer_episodes: 2000, cache_gb: 10.0}, where "
                "this training has its params"
            )
        folder = Path(name)
        yield Shards(name, folder, load_manifest(folder, "shards"), None)
        return
    with tempfile.TemporaryDirectory(prefix="parrot-manifest-") as scratch:
        arrivals = Arrivals(name, Path(scratch), _cache(source, name))
        yield Shards(arrivals.name, arrivals.folder, arrivals.manifest, arrivals)


def _cache(source: Stream, name: str) -> TarCache | None:
    most_bytes = int(source.cache_gb * BYTES_PER_GB)
    if not most_bytes or not is_address(name):
        return None
    folder = default_folder()
    try:
        return TarCache(folder, most_bytes)
    except OSError as error:
        raise UserError(
            f"{folder}, where tars would be kept ({error.strerror}), cannot be made: set "
            "XDG_CACHE_HOME to a folder of yours, or cache_gb to 0.0"
        ) from None


def _check_begun_by(count: int, cache: Path) -> None:
    """See that a stream is gone on with by as many processes as began it."""
    path = cache / _STREAM
    try:
        begun = int(read_sealed(path)["processes"])
    except DamagedError:
        begun = count
    if begun != count:
        raise UserError(
            f"the training in {cache.parent} was begun by {begun} processes, among which its tars "
            f"are dealt out, and not by {count}: give the same command with torchrun "
            f"--nproc-per-node {begun}, or remove that folder to begin anew"
        )
    cache.mkdir(exist_ok=True)
    write_sealed(path, {"processes": count})
