"""Merge datasets of one kind and spec into a new one: their episodes, one dataset after the other.

Sources are only read; their params and seeds may differ. An episode that several hold, by its
content hash, is refused or kept once. What an edit keeps of an episode, and what its index then
means, says `parrot_data.stores.edits`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Literal

from parrot_data.edited import write_edited
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.section import Section
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.edits import Source, open_source, origin_of, spec_difference
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.picked import Part, Picked
from parrot_data.stores.sorted_rows import SortedRows
from parrot_data.stores.sources import code_of
from parrot_data.stores.tar_shards import Sample, array_members

_log = logging.getLogger(__name__)
EDIT = "merge"
Duplicates = Literal["refuse", "drop"]


class MergeParams(Section):
    """How datasets are merged.

    Attributes:
        duplicates: of episodes that are the same, "refuse" to merge, or "drop" all but the first.
    """

    duplicates: Duplicates


def merge(
    params: MergeParams, datasets: Sequence[Path], out: Path, *, progress: Progress = silent
) -> dict[str, object]:
    """Write the episodes of several datasets as a new one, in the order in which they are named.

    Episodes whose arrays are the same, byte for byte as they are stored, but whose metadata differ
    are kept, and that is logged. An interrupted call leaves nothing but `<out>.partial`; the next
    one starts anew.

    Args:
        params: what becomes of duplicates.
        datasets: two or more, all of episodes or all of shards.
        out: folder of the result; an earlier one of this command is replaced at the end.
        progress: called after each episode, once a store.

    Returns:
        num_episodes and num_dropped.

    Raises:
        UserError: a dataset is missing or damaged, kinds or specs differ, an episode is there
            twice, or `open_work` refuses `out`.
    """
    if len(datasets) < 2:
        raise UserError("merge needs two datasets or more: name them all.")
    sources = [open_source(dataset) for dataset in datasets]
    _check_alike(sources)
    plain = params.model_dump()
    fingerprint = {
        "params": plain,
        "parents": [source.sha256 for source in sources],
        "code": code_of(__name__),
    }
    output = dataset_output(EDIT, sources[0].manifest.kind, edit=EDIT)
    with open_work(out, output, fingerprint, datasets) as work:
        parts, twins = _different(sources, params.duplicates), _Twins()
        picked = Picked(parts, twins.look)
        write_edited(work.folder, picked, origin_of(sources, EDIT, plain), progress)
        work.publish()
    twins.tell()
    total = sum(source.manifest.num_episodes for source in sources)
    return {"num_episodes": len(picked), "num_dropped": total - len(picked)}


def _check_alike(sources: Sequence[Source]) -> None:
    first = sources[0]
    for other in sources[1:]:
        if other.manifest.kind != first.manifest.kind:
            raise UserError(
                f"{first.folder} is a dataset of {first.manifest.kind} and {other.folder} of "
                f"{other.manifest.kind}: merge either before they are sharded, or both after."
            )
        differs = spec_difference(first.manifest.spec, other.manifest.spec)
        if differs:
            raise UserError(
                f"{first.folder} and {other.folder} hold episodes of different specs ({differs}): "
                "only datasets of one spec can be merged."
            )


def _different(sources: Sequence[Source], duplicates: Duplicates) -> list[Part]:
    """The episodes of each source that none before it holds, nor itself at an earlier place."""
    is_new = [bytearray(b"\x01") * source.manifest.num_episodes for source in sources]
    count, first = 0, (len(sources), 0, 0)
    with SortedRows(4) as hashes:
        for number, source in enumerate(sources):
            for place, entry in enumerate(source.entries()):
                hashes.add(bytes.fromhex(entry.content_hash), number, place, entry.index)
        for _, same in groupby(hashes, itemgetter(0)):
            for _, number, place, index in islice(same, 1, None):
                is_new[number][place] = 0
                count += 1
                first = min(first, (number, place, index))
    if count and duplicates == "refuse":
        number, _, index = first
        raise UserError(
            f"{count} episode{'s are' if count > 1 else ' is'} there twice, by content hash, the "
            f"first of them episode {index} of {sources[number].folder}: merge without, or keep "
            "each once with --duplicates drop."
        )
    parts = [source.picked(bytes(new)) for source, new in zip(sources, is_new, strict=True)]
    return [part for part in parts if any(part.is_picked)]


class _Twins:
    """Notes episodes whose arrays are the same, but whose index or other metadata differ."""

    def __init__(self) -> None:
        self._seen, self._num_looks = SortedRows(4), 0

    def look(self, entry: EpisodeEntry, sample: Sample) -> None:
        digest = hashlib.blake2b(digest_size=16)
        for name, content in array_members(sample):
            digest.update(f"{name} {len(content)} ".encode())
            digest.update(content)
        content_hash = bytes.fromhex(entry.content_hash)
        self._seen.add(digest.digest(), content_hash, self._num_looks, entry.index)
        self._num_looks += 1

    def tell(self) -> None:
        count, first = 0, (self._num_looks, 0)
        for _, of_same_arrays in groupby(self._seen, itemgetter(0)):
            # Of each the first look, as there is one a store that was read
            looks = (next(same)[2:] for _, same in groupby(of_same_arrays, itemgetter(1)))
            earliest = next(looks)
            for look in looks:
                count += 1
                first, earliest = min(first, max(earliest, look)), min(earliest, look)
        if count:
            _log.warning(
                "%s of the episodes have the arrays of others and differ in index or other "
                "metadata alone, the first of them episode %s: all are kept",
                f"{count:,}",
                first[1],
            )
