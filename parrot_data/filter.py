"""Filter raw episodes: keep successes of the wanted families, say why the others went.

Only the manifest is read. Failures stay in the raw data, so the decision can be made again.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.kept import KEPT, DroppedEpisode, KeptEpisodes
from parrot_data.stores.manifest import MANIFEST, load_manifest
from parrot_data.stores.publish import open_work, publish, sha256_file, write_json

SUMMARY = "summary.json"


class FilterParams(BaseModel):
    """Section `filter` of params.yaml.

    Attributes:
        families: the families to keep; every one must occur in the episodes.
        max_episodes_per_family: at most so many successes of each, the first ones; 0 for all.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    families: list[str] = Field(min_length=1)
    max_episodes_per_family: int = Field(ge=0)


def filter_episodes(
    params: FilterParams, episodes: Path, out: Path, *, progress: Progress = silent
) -> dict[str, object]:
    """Decide on every episode: `kept.json` for the next stage, `summary.json` for people.

    Args:
        params: what to keep.
        episodes: folder that `generate` wrote.
        out: folder of the result, replaced at the end.
        progress: told of every episode.

    Returns:
        The summary: num_episodes, num_kept and success_rate overall and by task, and the failures
        of each task by reason.

    Raises:
        UserError: the manifest is missing or altered; a family does not occur in the episodes;
            nothing would be kept.
    """
    manifest = load_manifest(episodes, "episodes")
    manifest_sha256 = sha256_file(episodes / MANIFEST)
    _check_families(params, {episode.task for episode in manifest.episodes}, episodes)
    kept: list[EpisodeEntry] = []
    dropped: list[DroppedEpisode] = []
    num_kept: Counter[str] = Counter()
    for done, episode in enumerate(manifest.episodes, start=1):
        reason = _reason_to_drop(params, episode, num_kept[episode.task])
        if reason:
            dropped.append(_dropped(episode, reason))
        else:
            kept.append(episode)
            num_kept[episode.task] += 1
        progress(done, manifest.num_episodes, "episodes")
    if not kept:
        raise UserError(
            f"No episode of {episodes} succeeded in the families that filter.families names: "
            "generate more episodes (generate.num_episodes) or with less generate.action_noise."
        )
    decision = KeptEpisodes(
        params=params.model_dump(),
        kept=[episode.index for episode in kept],
        dropped=dropped,
        episodes_manifest_sha256=manifest_sha256,
    )
    summary = _summary(manifest.episodes, num_kept)
    work = open_work(out, {"params": decision.params, "episodes": manifest_sha256})
    write_json(work / KEPT, decision.model_dump())
    write_json(work / SUMMARY, summary)
    publish(work, out)
    return summary


def _check_families(params: FilterParams, known: set[str], episodes: Path) -> None:
    for family in params.families:
        if family not in known:
            raise UserError(
                f"filter.families names {family!r}, but {episodes} holds only "
                f"{', '.join(sorted(known))}: change it, or generate that family."
            )


def _reason_to_drop(params: FilterParams, episode: EpisodeEntry, num_kept: int) -> str:
    """Why the episode goes, "" if it stays; `num_kept` of its family stayed before it."""
    if not episode.success:
        return "failed"
    if episode.task not in params.families:
        return "family_not_kept"
    if 0 < params.max_episodes_per_family <= num_kept:
        return "over_limit"
    return ""


def _dropped(episode: EpisodeEntry, reason: str) -> DroppedEpisode:
    return DroppedEpisode(
        index=episode.index, task=episode.task, failure=episode.failure, reason=reason
    )


def _summary(episodes: list[EpisodeEntry], num_kept: Counter[str]) -> dict[str, object]:
    by_task: dict[str, list[EpisodeEntry]] = {}
    for episode in episodes:
        by_task.setdefault(episode.task, []).append(episode)
    tasks = {
        task: {
            **_rates(of_task, num_kept[task]),
            "failures": dict(
                Counter(episode.failure for episode in of_task if not episode.success)
            ),
        }
        for task, of_task in by_task.items()
    }
    return {**_rates(episodes, num_kept.total()), "tasks": tasks}


def _rates(episodes: list[EpisodeEntry], num_kept: int) -> dict[str, object]:
    num_successes = sum(episode.success for episode in episodes)
    return {
        "num_episodes": len(episodes),
        "num_kept": num_kept,
        "success_rate": num_successes / len(episodes),
    }
