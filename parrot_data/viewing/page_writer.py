"""The page of a stream of episodes, whatever they come from: index, blocks, thumbnails, files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parrot_data.episodes.episode import OBSERVATION, Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.viewing.facets import Facets, facets_of
from parrot_data.viewing.page_files import PAGE_FILES, copy_page
from parrot_data.viewing.pictures import (
    THUMBNAILS_PER_ROW,
    THUMBNAILS_PER_SPRITE,
    Sprites,
    layout_of,
    sheets_of,
    thumbnail_of,
    thumbnail_size,
)
from parrot_data.viewing.ranges import RunningRange
from parrot_data.viewing.scripts import Blocks, base64_of, numbers_text, write_script

DATA = "data"
ROWS_PER_INDEX = 1000
WRITTEN = (
    *PAGE_FILES,
    f"{DATA}/dataset.js",
    f"{DATA}/index-*.js",
    f"{DATA}/block-*.js",
    f"{DATA}/thumbnails-*.webp",
)


@dataclass(frozen=True)
class About:
    """What a page says of its episodes as a whole.

    Attributes:
        name: of what they are, such as a world; "" where unknown.
        kind: of what they come from, such as "shards".
        sha256: of that.
        spec: of all of them; privileged arrays are not shown.
        num_episodes: how many there are.
        grouped_by: key of the facts that cards and the table of successes tell; "" for the task.
    """

    name: str
    kind: str
    sha256: str
    spec: EpisodeSpec
    num_episodes: int
    grouped_by: str = ""


def write_page(
    folder: Path,
    about: About,
    entries: Iterable[EpisodeEntry],
    episodes: Iterable[tuple[EpisodeEntry, Episode]],
    progress: Progress,
) -> None:
    """Write the files of a page; one episode is held at a time.

    Args:
        folder: where.
        about: the episodes.
        entries: of all episodes, in their order, read before the first episode.
        episodes: the same with theirs; numbers tell them apart, none twice.
        progress: called after every episode.
    """
    data = folder / DATA
    data.mkdir(exist_ok=True)
    facets = facets_of(entries)
    written = _Written(data, about.spec, facets)
    for done, (entry, episode) in enumerate(episodes, start=1):
        written.add(entry, episode)
        progress(done, about.num_episodes, "episodes")
    written.close()
    write_script(data, "dataset", _described(about, facets, written))
    copy_page(folder)


def size_of(folder: Path) -> dict[str, Any]:
    """num_files and megabytes of a page."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    num_bytes = sum(path.stat().st_size for path in files)
    return {"num_files": len(files), "megabytes": round(num_bytes / 1e6, 2)}


class _Written:
    """What is written while the episodes pass by: blocks, index, thumbnails; and their ranges."""

    def __init__(self, data: Path, spec: EpisodeSpec, facets: Facets) -> None:
        self._data, self._spec, self._facets = data, spec, facets
        self.blocks, self._sprites = Blocks(data), Sprites(data)
        self.num_indices, self._rows = 0, list[list[Any]]()
        self._position = 0
        self.ranges = {name: RunningRange(dim) for name, dim in _curves_of(spec).items()}

    def add(self, entry: EpisodeEntry, episode: Episode) -> None:
        """Take the next episode."""
        arrays = episode.arrays()
        for name, running in self.ranges.items():
            running.add(arrays[name].reshape(len(arrays[name]), -1))
        block = self._put(entry, episode)
        self._sprites.add(thumbnail_of(episode, self._spec))
        self._rows.append(_row(entry, episode, block, self._facets))
        self._position += 1
        if len(self._rows) == ROWS_PER_INDEX:
            self._finish_index()

    def close(self) -> None:
        """Write the last files."""
        self.blocks.close()
        self._sprites.close()
        if self._rows:
            self._finish_index()

    def _put(self, entry: EpisodeEntry, episode: Episode) -> int:
        """Write an episode's images, then all else of it; returns the block of the latter."""
        self.blocks.begin_episode()
        images = {}
        for name in self._spec.images:
            sheets, is_exact = [], True
            for number, sheet in enumerate(sheets_of(episode.observations[name])):
                key = f"{self._position}/{name}/{number}"
                sheets.append(self.blocks.put(key, base64_of(sheet.content)))
                is_exact = is_exact and sheet.is_exact
            images[name] = {"sheets": sheets, "is_exact": is_exact}
        arrays = episode.arrays()
        told = {
            "facts": entry.facts,
            "terminated": entry.terminated,
            "content_hash": entry.content_hash,
            "images": images,
            "arrays": {name: numbers_text(arrays[name]) for name in self.ranges},
        }
        return self.blocks.put(str(self._position), told)

    def _finish_index(self) -> None:
        write_script(self._data, f"index-{self.num_indices:05d}", self._rows)
        self.num_indices, self._rows = self.num_indices + 1, []


def _curves_of(spec: EpisodeSpec) -> dict[str, int]:
    """Widths of the arrays that are shown as curves, by the names of `Episode.arrays`."""
    vectors = {f"{OBSERVATION}.{name}": dim for name, dim in spec.vectors.items()}
    return {"actions": spec.action.dim, "rewards": 1, **vectors}


def _row(entry: EpisodeEntry, episode: Episode, block: int, facets: Facets) -> list[Any]:
    """A line of the index; the page's `rows.js` reads it."""
    total = float(np.sum(episode.rewards, dtype=np.float64))
    return [
        entry.index,
        facets.tasks[entry.task],
        int(entry.success),
        facets.failures.get(entry.failure, -1),
        entry.num_steps,
        float(f"{total:.6g}") if math.isfinite(total) else None,
        block,
        [facet.of(entry) for facet in facets.facts],
    ]


def _described(about: About, facets: Facets, written: _Written) -> dict[str, Any]:
    """What the page must know before it loads anything else."""
    spec = about.spec
    width, height = thumbnail_size(spec)
    return {
        "name": about.name,
        "kind": about.kind,
        "sha256": about.sha256,
        "grouped_by": about.grouped_by,
        "num_episodes": about.num_episodes,
        "num_successes": facets.num_successes,
        "num_steps": facets.num_steps,
        "num_indices": written.num_indices,
        "tasks": list(facets.tasks),
        "failures": list(facets.failures),
        "facts": [{"name": each.name, "values": list(each.codes)} for each in facets.facts],
        "control_rate_hz": spec.control_rate_hz,
        "cameras": [
            {"name": name, "height": image.height, "width": image.width}
            | layout_of(image.height, image.width)._asdict()
            for name, image in spec.images.items()
        ],
        "curves": [
            {"name": name, "dim": dim, **written.ranges[name].result()}
            for name, dim in _curves_of(spec).items()
        ],
        "bounds": {"low": spec.action.low, "high": spec.action.high},
        "thumbnail": {
            "width": width,
            "height": height,
            "is_pair": bool(spec.images),
            "num_columns": THUMBNAILS_PER_ROW,
            "per_sprite": THUMBNAILS_PER_SPRITE,
        },
    }
