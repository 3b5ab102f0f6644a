"""Writing raw episodes that lie in datasets already: their samples are copied as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from parrot_data.progress import Progress
from parrot_data.stores import tar_shards
from parrot_data.stores.entries import ENTRIES, write_entries
from parrot_data.stores.manifest import BlockEntry, EpisodesManifest, save_manifest
from parrot_data.stores.origin import Origin
from parrot_data.stores.picked import Picked
from parrot_data.stores.records import file_entry


def write_episodes(
    folder: Path, picked: Picked, episodes_per_file: int, origin: Origin, progress: Progress
) -> EpisodesManifest:
    """Write episodes as tars and a manifest, the same that `generate` makes.

    Args:
        folder: where; what an interrupted call left there is replaced.
        picked: at least one.
        episodes_per_file: at most so many a tar; see `write_tars`.
        origin: whence they came.
        progress: called after each episode.

    Raises:
        UserError: one is not what its own manifest says.
    """
    for leftover in folder.glob("episodes-*.tar"):
        leftover.unlink()

    def samples() -> Iterator[tar_shards.Sample]:
        total = len(picked)
        for done, (entry, sample) in enumerate(picked.samples(), start=1):
            # What was damaged must not be copied, and be vouched for from then on
            tar_shards.decode_described(entry, sample, picked.spec)
            yield sample
            progress(done, total, "episodes")

    tars = tar_shards.write_tars(
        lambda number: folder / f"episodes-{number:05d}.tar", samples(), episodes_per_file
    )
    write_entries(folder / ENTRIES, picked.entries())
    manifest = EpisodesManifest(
        params=dict(origin.params),
        seed=origin.seed,
        spec=picked.spec,
        num_episodes=len(picked),
        files=[
            BlockEntry(**file_entry(folder, tar).model_dump(), num_episodes=count)
            for tar, count in tars
        ],
        episodes=file_entry(folder, folder / ENTRIES),
        parents=list(origin.parents),
        ancestors=list(origin.ancestors),
    )
    save_manifest(folder, manifest)
    return manifest
