"""Split a dataset into several new ones of the same kind: each episode goes into exactly one.

Successes and failures of each task are shared out alike. Parts lie in one folder, in folders of
their names, and are datasets like any other. The source is only read. What an edit keeps of an
episode, and what its index then means, says `parrot_data.stores.edits`.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from parrot_data.edited import write_edited
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.section import Section, Seed
from parrot_data.stores.dataset_output import files_of_dataset
from parrot_data.stores.edits import Source, open_source, origin_of
from parrot_data.stores.manifest import MANIFEST, Kind, Sha256
from parrot_data.stores.outputs.layout import Output, json_in
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.picked import Picked
from parrot_data.stores.publish import sha256_file, write_json
from parrot_data.stores.records import Count, FileName, Record, is_plain_name
from parrot_data.stores.sources import code_of
from parrot_data.streams import generator

EDIT, SPLIT = "split", "split.json"
MOST_PARTS = 100


class SplitParams(Section):
    """How a dataset is split.

    Attributes:
        shares: of the episodes, one a part; their sum is 1.
        names: of the parts' folders.
        seed: of the draw.
    """

    shares: list[float] = Field(min_length=2, max_length=MOST_PARTS)
    names: list[str]
    seed: Seed


class SplitPart(Record):
    """A part, as `split.json` tells of it."""

    name: FileName
    share: float
    num_episodes: Annotated[int, Field(ge=1)]
    manifest_sha256: Sha256


class SplitRecord(Record):
    """What `split.json` says: whose parts lie beside it."""

    kind: Kind
    seed: Count
    parent_sha256: Sha256
    parts: list[SplitPart]


def split(
    params: SplitParams, dataset: Path, out: Path, *, progress: Progress = silent
) -> dict[str, object]:
    """Write the parts of a dataset, each with its episodes in their order, and `split.json`.

    An interrupted call leaves nothing but `<out>.partial`; the next one starts anew.

    Args:
        params: how.
        dataset: episodes or shards.
        out: folder of the parts; an earlier one of this command is replaced at the end.
        progress: called after each episode of each part, once a store.

    Returns:
        How many episodes each part has, by name.

    Raises:
        UserError: the dataset is missing or damaged, shares or names make no sense, a part would
            be empty, or `open_work` refuses `out`.
    """
    _check(params)
    source = open_source(dataset)
    plain = params.model_dump()
    fingerprint = {"params": plain, "parent": source.sha256, "code": code_of(__name__)}
    with open_work(out, OUTPUT, fingerprint, [dataset]) as work:
        part_of = _shared_out(params, source)
        parts = []
        for number, (name, share) in enumerate(zip(params.names, params.shares, strict=True)):
            folder = work.folder / name
            folder.mkdir(exist_ok=True)
            picked = Picked([source.picked((part_of == number).tobytes())])
            origin = origin_of([source], EDIT, {**plain, "part": name})
            write_edited(
                folder, picked, origin, partial(_of_all, progress, number, len(params.names))
            )
            parts.append(
                SplitPart(
                    name=name,
                    share=share,
                    num_episodes=len(picked),
                    manifest_sha256=sha256_file(folder / MANIFEST),
                )
            )
        record = SplitRecord(
            kind=source.manifest.kind, seed=params.seed, parent_sha256=source.sha256, parts=parts
        )
        write_json(work.folder / SPLIT, record.model_dump())
        work.publish()
    return {part.name: part.num_episodes for part in parts}


def _of_all(progress: Progress, number: int, count: int, done: int, total: int, note: str) -> None:
    """Tell a part's progress as that of all parts, each of which is as much as this one."""
    progress(number * total + done, count * total, note)


def _check(params: SplitParams) -> None:
    names, shares = params.names, params.shares
    if len(names) != len(shares):
        raise UserError(
            f"--names names {len(names)} parts where --shares has {len(shares)}: give as many."
        )
    if len({name.lower() for name in names}) < len(names):
        raise UserError(
            f"--names {','.join(names)} has a name twice: give each part one of its own."
        )
    for name in names:
        if not is_plain_name(name) or "/" in name or name.lower() == SPLIT:
            raise UserError(
                f"--names: {name[:60]!r} is no name for a folder here: write letters, digits, _, - "
                "and dots."
            )
    if min(shares) <= 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
        told = ",".join(f"{share:g}" for share in shares)
        raise UserError(f"--shares {told} share nothing out: give positive numbers whose sum is 1.")


def _shared_out(params: SplitParams, source: Source) -> NDArray[np.int64]:
    """The number of the part that each episode goes into, (E,).

    Episodes go, task by task, in an order drawn at random, each to the part that lacks most of
    its share: so of each task every part gets its share to within about one episode.
    """
    strata = _strata(source)
    drawn = generator(params.seed, "split: order").permutation(len(strata))
    order = drawn[np.argsort(strata[drawn], kind="stable")]
    shares, counts = np.array(params.shares), np.zeros(len(params.shares))
    part_of = np.empty(len(strata), dtype=np.int64)
    for done, place in enumerate(order, start=1):
        part_of[place] = np.argmax(shares * done - counts)
        counts[part_of[place]] += 1
    if counts.min() == 0:
        empty = int(counts.argmin())
        raise UserError(
            f"--shares: of {len(strata)} episodes none would be left for part "
            f"{params.names[empty]}, whose share is {params.shares[empty]:g}: give it a larger one."
        )
    return part_of


def _strata(source: Source) -> NDArray[np.int32]:
    """Of each episode the number of its task and success, in the order of their names, (E,)."""
    numbers: dict[str, int] = {}
    names = (f"{entry.task} {entry.success}" for entry in source.entries())
    found = np.fromiter((numbers.setdefault(name, len(numbers)) for name in names), np.int32)
    ranks = {name: rank for rank, name in enumerate(sorted(numbers))}
    return np.array([ranks[name] for name in numbers], np.int32)[found]


def _files(folder: Path) -> Collection[str] | None:
    try:
        record = SplitRecord.model_validate(json_in(folder / SPLIT))
    except ValueError:
        return None
    names = {SPLIT}
    for part in record.parts:
        files = files_of_dataset(folder / part.name, record.kind, EDIT) or ()
        names |= {f"{part.name}/{name}" for name in files}
    return names


OUTPUT = Output(EDIT, SPLIT, _files)
