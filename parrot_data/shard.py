"""Shard the kept episodes into a training set: a Zarr store and WebDataset tars, the same data."""

from __future__ import annotations

from pathlib import Path

from parrot_data.cards.dataset_card import write_card
from parrot_data.progress import Progress, silent
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.manifest import files_of
from parrot_data.stores.origin import Origin, behind
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.selection import select
from parrot_data.stores.shard_params import ShardParams
from parrot_data.stores.sources import code_of
from parrot_data.stores.write_shards import write_shards

__all__ = ["ShardParams", "shard"]

OUTPUT = dataset_output("shard", "shards")


def shard(
    params: ShardParams,
    episodes: Path,
    kept: Path,
    out: Path,
    *,
    workers: int = 1,
    progress: Progress = silent,
) -> dict[str, object]:
    """Write the kept episodes to both stores, with their statistics, lineage and card.

    Args:
        params: the layout.
        episodes: folder that `generate` wrote.
        kept: folder that `filter` wrote for those episodes.
        out: folder of the result, replaced at the end.
        workers: processes at most; the result does not depend on it.
        progress: called after each episode, once a store; of several processes, now and then.

    Returns:
        num_episodes, num_transitions, num_files and num_bytes.

    Raises:
        UserError: an input is missing, damaged, or `kept` was made from other episodes.
    """
    selection = select(episodes, kept)
    source, sources = selection.manifest, selection.sources
    made_from = {"params": params.model_dump(), **sources.model_dump()}
    fingerprint = {**made_from, "code": code_of(__name__)}
    made_with = {**source.params, "filter": selection.decision.params, "shard": params.model_dump()}
    edited_from = behind([(sources.episodes_manifest_sha256, source)])
    origin = Origin(made_with, source.seed, ancestors=edited_from)
    with open_work(out, OUTPUT, fingerprint, [episodes, kept]) as work:
        manifest = write_shards(
            work.folder, selection.picked, params, origin, sources, progress, workers
        )
        write_card(work.folder)
        work.publish()
    return {
        "num_episodes": manifest.num_episodes,
        "num_transitions": manifest.num_transitions,
        "num_files": len(files_of(manifest)),
        "num_bytes": sum(file.size for file in files_of(manifest)),
    }
