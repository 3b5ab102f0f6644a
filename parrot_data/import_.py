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
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError, told
from parrot_data.exchange.fit import Fit, held_arrays
from parrot_data.exchange.format import Holds
from parrot_data.exchange.formats import format_of
from parrot_data.exchange.recording import Recording
from parrot_data.exchange.success import SuccessRule, success_rule
from parrot_data.progress import Progress, silent
from parrot_data.section import Section
from parrot_data.stores import tar_shards
from parrot_data.stores.blocks import Block, blocks_of, complete, gather
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.entries import entry_of, line_of
from parrot_data.stores.manifest import BlockEntry, EpisodesManifest, save_manifest
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.records import FileEntry
from parrot_data.stores.sidecar import DESCRIPTION, Sidecar, sidecar_of
from parrot_data.stores.sources import code_of

_log = logging.getLogger(__name__)
OUTPUT = dataset_output("import", "episodes", scratch=("episodes-*.json", "episodes-*.jsonl"))

# No values of params.yaml: they change no episode, only how many lie in a file, and its size.
EPISODES_PER_FILE, ZSTD_LEVEL = 100, 3
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

    format: str
    task: str | None
    success: str
    bounds: tuple[_Bound, _Bound] | None


def import_episodes(
    params: ImportParams,
    source: Path,
    out: Path,
    *,
    use_sidecar: bool = True,
    progress: Progress = silent,
) -> dict[str, object]:
    """Write the episodes of a file of others as tars and a manifest under `out`.

    An interrupted run leaves its finished tars in `<out>.partial`; the next one goes on from there.
    What is changed, lost or odd is logged, a sentence each. What `export` wrote becomes the dataset
    that it was: see `parrot_data.stores.sidecar`.

    Args:
        params: how to take the source.
        source: a file, or Minari's folder.
        out: folder of the result, replaced at the end.
        use_sidecar: take the sidecar beside the source, if there is one, as what decides.
        progress: called after every episode.

    Returns:
        task, or num_tasks where there are several, num_episodes, num_successes and success_rate.

    Raises:
        UserError: a param makes no sense; the source is missing, damaged or of another format; an
            episode does not fit, or is not the one that was exported; or `open_work` refuses `out`.
    """
    rule = success_rule(params.success)
    _check_bounds(params)
    format_ = format_of(params.format)
    files = format_.files_of(source)
    sidecar = sidecar_of(source, files) if use_sidecar else None
    plain = {"import": {**params.model_dump(), "source_sha256": _sha256_of(files)}}
    fingerprint: dict[str, Any] = {"params": plain, "code": code_of(__name__)}
    if sidecar is not None:
        _check_unasked(params, sidecar)
        fingerprint["sidecar"] = sha256_file(sidecar.folder / DESCRIPTION)
    with open_work(out, OUTPUT, fingerprint, [source]) as work:
        with format_.open_recording(source, rule.key) as recording:
            taken = (
                _Taken(recording, params, rule)
                if sidecar is None
                else _Restored(recording, sidecar, format_.holds)
            )
            blocks = blocks_of(taken.num_episodes, EPISODES_PER_FILE)
            _write_blocks(taken.episodes(), work.folder, blocks, progress)
        manifest = taken.manifest(plain, *gather(work.folder, blocks))
        save_manifest(work.folder, manifest)
        num_successes, tasks = 0, set[str]()
        for entry in manifest.entries(work.folder):
            num_successes += entry.success
            tasks.add(entry.task)
        work.publish()
    for sentence in taken.notes():
        _log.warning("%s: %s", source, sentence)
    return {
        **({"task": tasks.pop()} if len(tasks) == 1 else {"num_tasks": len(tasks)}),
        "num_episodes": manifest.num_episodes,
        "num_successes": num_successes,
        "success_rate": num_successes / manifest.num_episodes,
    }


class _Taken:
    """Episodes of a recording as any foreign one: by what it says and the command."""

    def __init__(self, recording: Recording, params: ImportParams, rule: SuccessRule) -> None:
        self._fit = Fit(recording, params.task, rule, params.bounds)
        self._rule, self.num_episodes = rule, recording.num_episodes

    def episodes(self) -> Iterator[Episode]:
        return self._fit.episodes()

    def manifest(
        self, params: Mapping[str, Any], files: list[BlockEntry], entries: FileEntry
    ) -> EpisodesManifest:
        return EpisodesManifest(
            params=dict(params),
            spec=self._fit.spec,
            seed=0,  # of nothing: no episode was drawn
            num_episodes=self.num_episodes,
            files=files,
            episodes=entries,
        )

    def notes(self) -> list[str]:
        """What the episodes do not show: what was taken for granted, changed, lost."""
        granted = ["every episode counts as a success, as --success is all"]
        return [*(granted if self._rule.kind == "all" else ()), *self._fit.notes()]


class _Restored:
    """Episodes of a recording that `export` wrote, as they were."""

    def __init__(self, recording: Recording, sidecar: Sidecar, holds: Holds) -> None:
        self._recording, self._sidecar, self._holds = recording, sidecar, holds
        self.num_episodes = sidecar.export.num_episodes

    def episodes(self) -> Iterator[Episode]:
        spec = self._sidecar.spec
        found = (
            (each.name, held_arrays(each, spec, self._holds))
            for each in self._recording.trajectories
        )
        return self._sidecar.episodes(found)

    def manifest(
        self,
        params: Mapping[str, Any],  # noqa: ARG002 an export has its own
        files: list[BlockEntry],
        entries: FileEntry,
    ) -> EpisodesManifest:
        return self._sidecar.manifest(files, entries)

    def notes(self) -> list[str]:
        return [f"the dataset is the one that was exported, by {self._sidecar.folder}"]


def _check_unasked(params: ImportParams, sidecar: Sidecar) -> None:
    """Refuse answers to what the sidecar knows."""
    asked = {
        "--task": params.task is not None,
        "--success": params.success != "all",
        "--bounds": params.bounds is not None,
    }
    for option, is_given in asked.items():
        if is_given:
            raise UserError(
                f"{option} is known from the sidecar {sidecar.folder}: leave it out, or give "
                "--without-sidecar, too."
            )


def _sha256_of(files: Sequence[Path]) -> str:
    try:
        return hashlib.sha256("".join(map(sha256_file, files)).encode()).hexdigest()
    except OSError as error:
        raise told(error) from error


def _check_bounds(params: ImportParams) -> None:
    if params.bounds is None:
        return
    low, high = params.bounds
    if format_of(params.format).says_bounds:
        raise UserError(f"{params.format} says those of its actions: leave out --bounds.")
    if not -math.inf < low < high < math.inf:
        raise UserError(f"--bounds {low:g} {high:g} bound nothing: give a lower and an upper one.")


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
