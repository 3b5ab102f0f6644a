"""Import episodes that others recorded: the same dataset that `generate` makes, without a world.

Only what an episode needs is read, every array is held against one spec, and what cannot be kept
is said. Files hold fixed ranges of episodes, so the same source always gives the same bytes,
interrupted or not.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError, told
from parrot_data.exchange import minari_format, npz, robomimic
from parrot_data.exchange.fit import Fit
from parrot_data.exchange.recording import Recording, shown
from parrot_data.exchange.success import SuccessRule, success_rule
from parrot_data.progress import Progress, silent
from parrot_data.section import Section
from parrot_data.stores import tar_shards
from parrot_data.stores.blocks import Block, blocks_of, complete, gather
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.entries import entry_of, line_of
from parrot_data.stores.manifest import EpisodesManifest, save_manifest
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.sources import code_of

_log = logging.getLogger(__name__)
OUTPUT = dataset_output("import", "episodes", scratch=("episodes-*.json", "episodes-*.jsonl"))

Format = Literal["robomimic", "minari", "npz"]
FORMATS: tuple[Format, ...] = get_args(Format)
# No values of params.yaml: they change no episode, only how many lie in a file, and its size.
EPISODES_PER_FILE, ZSTD_LEVEL = 100, 3
MAX_TASK = 100  # letters of its name
_Bound = Annotated[float, Field(allow_inf_nan=True)]  # what bounds nothing is told in a sentence


class ImportParams(Section):
    """What is imported, and how it is taken.

    Attributes:
        format: of the source.
        task: name of what was done; None for the source's own.
        success: the rule by which an episode is a success; see `success_rule`.
        bounds: least and greatest number of every dimension of the action, for a format that does
            not say them; None where there are none.
    """

    format: Format
    task: str | None
    success: str
    bounds: tuple[_Bound, _Bound] | None


def import_episodes(
    params: ImportParams, source: Path, out: Path, *, progress: Progress = silent
) -> dict[str, object]:
    """Write the episodes of a file of others as tars and a manifest under `out`.

    An interrupted run leaves its finished tars in `<out>.partial`; the next one goes on from there.
    What is changed, lost or odd is logged, a sentence each.

    Args:
        params: how to take the source.
        source: a file, or Minari's folder.
        out: folder of the result, replaced at the end.
        progress: called after every episode.

    Returns:
        num_episodes, num_successes and success_rate.

    Raises:
        UserError: a param makes no sense; the source is missing, damaged or of another format; an
            episode does not fit; or `open_work` refuses `out`.
    """
    rule = success_rule(params.success)
    _check_bounds(params)
    files = _files_of(params.format, source)
    plain = {"import": {**params.model_dump(), "source_sha256": _sha256_of(files)}}
    fingerprint = {"params": plain, "code": code_of(__name__)}
    with open_work(out, OUTPUT, fingerprint, [source]) as work:
        with _opened(params, source, rule) as recording:
            task = _task_of(params.task, recording)
            fit = Fit(recording, task, rule)
            blocks = blocks_of(recording.num_episodes, EPISODES_PER_FILE)
            _write_blocks(fit.episodes(), work.folder, blocks, progress)
        file_entries, entries = gather(work.folder, blocks)
        manifest = EpisodesManifest(
            params=plain,
            spec=fit.spec,
            seed=0,  # of nothing: no episode was drawn
            num_episodes=recording.num_episodes,
            files=file_entries,
            episodes=entries,
        )
        save_manifest(work.folder, manifest)
        num_successes = sum(entry.success for entry in manifest.entries(work.folder))
        work.publish()
    _tell(source, rule, fit)
    return {
        "task": task,
        "num_episodes": recording.num_episodes,
        "num_successes": num_successes,
        "success_rate": num_successes / recording.num_episodes,
    }


def _tell(source: Path, rule: SuccessRule, fit: Fit) -> None:
    """Say what the episodes do not show: what was taken for granted, changed, lost."""
    if rule.kind == "all":
        _log.warning("%s: every episode counts as a success, as --success is all", source)
    for sentence in fit.notes():
        _log.warning("%s: %s", source, sentence)


def _files_of(format_: Format, source: Path) -> list[Path]:
    match format_:
        case "robomimic":
            return robomimic.files_of(source)
        case "minari":
            return minari_format.files_of(source)
        case "npz":
            return npz.files_of(source)


def _sha256_of(files: Sequence[Path]) -> str:
    try:
        return hashlib.sha256("".join(map(sha256_file, files)).encode()).hexdigest()
    except OSError as error:
        raise told(error) from error


def _check_bounds(params: ImportParams) -> None:
    if params.bounds is None:
        return
    low, high = params.bounds
    if params.format != "npz":
        raise UserError(
            f"--bounds are for npz, {params.format} says those of its actions: leave them out."
        )
    if not -math.inf < low < high < math.inf:
        raise UserError(f"--bounds {low:g} {high:g} bound nothing: give a lower and an upper one.")


def _opened(
    params: ImportParams, source: Path, rule: SuccessRule
) -> AbstractContextManager[Recording]:
    match params.format:
        case "robomimic":
            return robomimic.open_recording(source, rule.key)
        case "minari":
            return minari_format.open_recording(source, rule.key)
        case "npz":
            return npz.open_recording(source, rule.key, params.bounds)


def _task_of(task: str | None, recording: Recording) -> str:
    name = recording.task if task is None else task
    if not name or len(name) > MAX_TASK or not name.isprintable():
        said = f"--task {shown(name)}" if task is not None else f"{recording.path}"
        raise UserError(
            f"{said} names no task by 1 to {MAX_TASK} letters that can be printed: give one with "
            "--task NAME."
        )
    return name


def _write_blocks(
    episodes: Iterator[Episode], work: Path, blocks: Sequence[Block], progress: Progress
) -> None:
    """Write the blocks that an earlier call has not left complete.

    Episodes of complete ones are read, too: only so can it be said what holds of all of them.
    """
    total, done = blocks[-1].stop, 0

    def counted() -> Iterator[Episode]:
        nonlocal done
        progress(done, total, "episodes")
        for episode in episodes:
            yield episode
            done += 1
            progress(done, total, "episodes")

    source = counted()
    for block in blocks:
        of_block = islice(source, block.stop - block.start)
        if block.is_complete(work):
            deque(of_block, maxlen=0)
        else:
            _write_block(of_block, work, block)
    deque(source, maxlen=0)  # it ends, and says so of its last episode


def _write_block(episodes: Iterator[Episode], work: Path, block: Block) -> None:
    with block.entries(work).open("w", encoding="utf-8") as lines:

        def noted() -> Iterator[Episode]:
            for episode in episodes:
                yield episode
                lines.write(line_of(entry_of(episode)))

        tar_shards.write_shard(block.tar(work), noted(), zstd_level=ZSTD_LEVEL)
    complete(block, work)
