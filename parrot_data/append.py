"""Append to generated episodes: a new dataset of the old ones and of more, simulated in one world.

It is what `generate` makes of the larger number, byte for byte, but for the parent that its
manifest names: an episode is a function of params, seed and index, files hold fixed ranges of
indices, and the params are those in the source's manifest. Old episodes are carried over and not
simulated again. The source is only read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from parrot_data.errors import UserError
from parrot_data.generate_params import GenerateParams
from parrot_data.progress import Progress, silent
from parrot_data.section import Count, Section
from parrot_data.simulation import Workers, check_workers, simulate
from parrot_data.stores import tar_shards
from parrot_data.stores.blocks import Block, blocks_of, complete, gather
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.edits import Source, open_source, origin_of, spec_difference
from parrot_data.stores.entries import EpisodeEntry, line_of
from parrot_data.stores.manifest import EpisodesManifest, save_manifest
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.records import check_file
from parrot_data.stores.sources import code_of
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import code_of_world, make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_data.worlds.world import World

EDIT = "append"
OUTPUT = dataset_output(
    EDIT, "episodes", scratch=("episodes-*.json", "episodes-*.jsonl"), edit=EDIT
)
MOST_EPISODES = 10**9  # of a dataset, as `generate` has it


class AppendParams(Section):
    """What is appended.

    Attributes:
        num_episodes: how many more to simulate.
    """

    num_episodes: Count


def append(
    params: AppendParams,
    dataset: Path,
    out: Path,
    *,
    workers: Workers,
    progress: Progress = silent,
) -> dict[str, object]:
    """Write the episodes of a dataset and as many more as asked for.

    An interrupted run leaves its finished tars in `<out>.partial`; the next one goes on from there.

    Args:
        params: how many more.
        dataset: episodes that `generate` made, or this command.
        out: folder of the result; an earlier one of this command is replaced at the end.
        workers: processes to simulate in, apart from this one, or a cluster; the result does not
            depend on it.
        progress: called after every episode that is simulated.

    Returns:
        num_episodes, num_simulated, num_successes and success_rate.

    Raises:
        UserError: the dataset is missing or damaged, or not all that `generate` made; its world
            cannot be made any more, or says another spec; a worker was killed; or `open_work`
            refuses `out`.
    """
    check_workers(workers)
    source = open_source(dataset)
    made_with, environment = _params_of(source)
    num_episodes = made_with.num_episodes + params.num_episodes
    if num_episodes > MOST_EPISODES:
        raise UserError(f"--episodes: {num_episodes} episodes are more than {MOST_EPISODES}.")
    wanted = made_with.model_copy(update={"num_episodes": num_episodes})
    world = make_world(environment)
    _check_world(source, world, wanted)
    origin = origin_of([source], EDIT, params.model_dump())
    code = {**code_of(__name__), "world": code_of_world(environment, world)}
    fingerprint = {"params": params.model_dump(), "parent": source.sha256, "code": code}
    with open_work(out, OUTPUT, fingerprint, [dataset]) as work:
        blocks = blocks_of(num_episodes, wanted.episodes_per_file)
        _write_blocks(source, wanted, environment, work.folder, blocks, workers, progress)
        files, entries = gather(work.folder, blocks)
        manifest = EpisodesManifest(
            params={"generate": wanted.model_dump(), "environment": environment.model_dump()},
            spec=world.spec,
            seed=wanted.seed,
            num_episodes=num_episodes,
            files=files,
            episodes=entries,
            parents=list(origin.parents),
            ancestors=list(origin.ancestors),
        )
        save_manifest(work.folder, manifest)
        num_successes = sum(entry.success for entry in manifest.entries(work.folder))
        work.publish()
    return {
        "num_episodes": num_episodes,
        "num_simulated": params.num_episodes,
        "num_successes": num_successes,
        "success_rate": num_successes / num_episodes,
    }


def _params_of(source: Source) -> tuple[GenerateParams, EnvironmentParams]:
    """The sections that made the source, once it is certain that it is all they make."""
    refused = UserError(
        f"{source.folder} is not all that one `parrot generate` made, and only that can be gone on "
        "with: generate more into a folder of their own, and merge both."
    )
    manifest = source.manifest
    if manifest.kind != "episodes" or manifest.params.keys() != {"generate", "environment"}:
        raise refused
    try:
        made_with = GenerateParams.model_validate(manifest.params["generate"])
        # As JSON: it has no tuples
        plain = json.dumps(manifest.params["environment"])
        environment: EnvironmentParams = TypeAdapter(EnvironmentParams).validate_json(plain)
    except ValidationError as error:
        raise refused from error
    blocks = blocks_of(made_with.num_episodes, made_with.episodes_per_file)
    sizes = [block.stop - block.start for block in blocks]
    is_whole = sizes == [file.num_episodes for file in manifest.files] and all(
        entry.index == place for place, entry in enumerate(source.entries())
    )
    if not is_whole:
        raise refused
    return made_with, environment


def _check_world(source: Source, world: World, wanted: GenerateParams) -> None:
    Demonstrations(world, wanted.tasks, wanted.seed).close()  # said now, not by a worker
    differs = spec_difference(source.manifest.spec, world.spec)
    if differs:
        raise UserError(
            f"{source.folder}: its world is another one by now, in {differs}: go back to the code "
            "that generated it, or generate anew."
        )


def _write_blocks(
    source: Source,
    params: GenerateParams,
    environment: EnvironmentParams,
    work: Path,
    blocks: Sequence[Block],
    workers: Workers,
    progress: Progress,
) -> None:
    """Carry over, simulate, and join the block that is of both; see `Block.is_complete`."""
    num_old = source.manifest.num_episodes
    old = [block for block in blocks if block.stop <= num_old]
    both = [block for block in blocks if block.start < num_old < block.stop]
    new = [block for block in blocks if block.start >= num_old]
    # What is new of such a block is simulated as one more, which no dataset has.
    rest = Block(len(blocks), num_old, both[0].stop) if both else None
    of_both = _carry_over(source, old, work)
    is_joined = all(block.is_complete(work) for block in both)
    missing = [*([rest] if rest and not is_joined else []), *new]
    if missing:
        simulate(params, environment, work, missing, workers, progress)
    if rest:
        if not is_joined:
            _join(source, of_both, rest, both[0], work)
        for path in (rest.tar(work), rest.entries(work), rest.record(work)):
            path.unlink(missing_ok=True)


def _carry_over(source: Source, blocks: Sequence[Block], work: Path) -> list[EpisodeEntry]:
    """Copy tars as they are; gives the entries of the episodes behind these blocks."""
    entries = source.entries()
    for block, file in zip(blocks, source.manifest.files, strict=False):
        lines = [line_of(entry) for entry in islice(entries, block.stop - block.start)]
        if not block.is_complete(work):
            check_file(source.folder, file)
            shutil.copyfile(source.folder / file.name, block.tar(work))
            block.entries(work).write_text("".join(lines), encoding="utf-8")
            complete(block, work)
    return list(entries)


def _join(
    source: Source, entries: Sequence[EpisodeEntry], rest: Block, block: Block, work: Path
) -> None:
    """Write a block of the source's last episodes and of those simulated to go on from them."""
    spec, last = source.manifest.spec, source.manifest.files[-1]
    check_file(source.folder, last)
    carried = tar_shards.read_samples([source.folder / last.name], spec)
    simulated = tar_shards.read_samples([rest.tar(work)], spec)
    tar_shards.write_samples(block.tar(work), chain(carried, simulated))
    lines = "".join(map(line_of, entries)) + rest.entries(work).read_text(encoding="utf-8")
    block.entries(work).write_text(lines, encoding="utf-8")
    complete(block, work)
