"""Filter raw episodes: keep successes of the wanted tasks, say why the others went.

Only the manifest is read. Failures stay in the raw data, so the decision can be made again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.section import CountOrNone, Section
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.kept import KEPT, is_decision, write_kept
from parrot_data.stores.manifest import MANIFEST, EpisodesManifest, load_manifest
from parrot_data.stores.outputs.layout import Output, matches, names_in
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import sha256_file, write_json

SUMMARY = "summary.json"


def _files(folder: Path) -> Collection[str] | None:
    if not is_decision(folder / KEPT):
        return None
    return {name for name in names_in(folder) if matches(name, (KEPT, SUMMARY))}


OUTPUT = Output("filter", KEPT, _files)


class FilterParams(Section):
    """Section `filter` of params.yaml.

    Attributes:
        tasks: the tasks to keep, by name; every one must occur in the episodes. [] for all.
        max_episodes_per_task: at most so many successes of each, the first ones; 0 for all.
        max_episodes: at most so many of all these, the first ones, which keeps the tasks' ratio
            and makes a smaller dataset part of a larger one; 0 for all.
    """

    tasks: list[str]
    max_episodes_per_task: CountOrNone
    max_episodes: CountOrNone


@dataclass
class _Tally:
    """Counts of the episodes of a task."""

    num_episodes: int = 0
    num_kept: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, entry: EpisodeEntry, *, is_kept: bool) -> None:
        self.num_episodes += 1
        self.num_kept += is_kept
        if not entry.success:
            self.failures[entry.failure] += 1

    def __add__(self, other: _Tally) -> _Tally:
        return _Tally(
            self.num_episodes + other.num_episodes,
            self.num_kept + other.num_kept,
            self.failures + other.failures,
        )

    def rates(self) -> dict[str, object]:
        num_successes = self.num_episodes - self.failures.total()
        return {
            "num_episodes": self.num_episodes,
            "num_kept": self.num_kept,
            "success_rate": num_successes / self.num_episodes,
        }


def filter_episodes(
    params: FilterParams, episodes: Path, out: Path, *, progress: Progress = silent
) -> dict[str, object]:
    """Decide on every episode: `kept.json` for the next stage, `summary.json` for people.

    Args:
        params: what to keep.
        episodes: folder that `generate` wrote.
        out: folder of the result, replaced at the end.
        progress: called after each episode.

    Returns:
        The summary: num_episodes, num_kept and success_rate overall and by task, and the failures
        of each task by reason.

    Raises:
        UserError: the manifest is missing or altered; a task does not occur in the episodes;
            nothing would be kept.
    """
    manifest = load_manifest(episodes, "episodes")
    manifest_sha256 = sha256_file(episodes / MANIFEST)
    fingerprint = {"params": params.model_dump(), "episodes": manifest_sha256}
    with open_work(out, OUTPUT, fingerprint, [episodes]) as work:
        if params.tasks:
            _check_tasks(params, {entry.task for entry in manifest.entries(episodes)}, episodes)
        tallies: dict[str, _Tally] = {}
        decided = _decided(params, manifest, episodes, tallies, progress)
        write_kept(work.folder / KEPT, decided, params.model_dump(), manifest_sha256)
        summary = _summary(tallies)
        if not summary["num_kept"]:
            (work.folder / KEPT).unlink()
            raise UserError(
                f"No episode of {episodes} succeeded in a task that filter.tasks lets through: "
                "generate more episodes (generate.num_episodes), or change filter.tasks."
            )
        write_json(work.folder / SUMMARY, summary)
        work.publish()
    return summary


def _decided(
    params: FilterParams,
    manifest: EpisodesManifest,
    episodes: Path,
    tallies: dict[str, _Tally],
    progress: Progress,
) -> Iterator[tuple[EpisodeEntry, str]]:
    """Every episode with the reason to drop it, "" to keep it, as it is counted."""
    num_kept = 0
    for done, entry in enumerate(manifest.entries(episodes), start=1):
        tally = tallies.setdefault(entry.task, _Tally())
        reason = _reason_to_drop(params, entry, tally.num_kept, num_kept)
        tally.add(entry, is_kept=not reason)
        num_kept += not reason
        yield entry, reason
        progress(done, manifest.num_episodes, "episodes")


def _check_tasks(params: FilterParams, known: set[str], episodes: Path) -> None:
    for task in params.tasks:
        if task not in known:
            raise UserError(
                f"filter.tasks names {task!r}, but {episodes} holds only "
                f"{', '.join(sorted(known))}: change it, or generate that task."
            )


def _reason_to_drop(
    params: FilterParams, entry: EpisodeEntry, num_kept_of_task: int, num_kept: int
) -> str:
    """Why the episode goes, "" if it stays; so many stayed before it."""
    if not entry.success:
        return "failed"
    if params.tasks and entry.task not in params.tasks:
        return "task_not_kept"
    if 0 < params.max_episodes_per_task <= num_kept_of_task:
        return "over_limit"
    if 0 < params.max_episodes <= num_kept:
        return "over_limit"
    return ""


def _summary(tallies: Mapping[str, _Tally]) -> dict[str, object]:
    overall = sum(tallies.values(), _Tally())
    tasks = {
        task: {**tally.rates(), "failures": dict(tally.failures)} for task, tally in tallies.items()
    }
    return {**overall.rates(), "tasks": tasks}
