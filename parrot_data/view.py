"""Look through a dataset: a page of files that shows every episode, without a server.

The page lies in `viewing/page` as it is. Beside it stand the data, in scripts that the page loads
when they are looked at: an index of a line an episode, and blocks of whole episodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from parrot_data.episodes.episode import OBSERVATION, Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress, silent
from parrot_data.stores import tar_shards
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.manifest import MANIFEST, Manifest, load_any_manifest
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import sha256_file, write_json
from parrot_data.stores.sources import code_of
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
from parrot_data.viewing.recording import rerun_module, write_recording
from parrot_data.viewing.scripts import Blocks, base64_of, numbers_text, write_script

MARKER, DATA, RECORDING = "view.json", "data", "recording.rrd"
ROWS_PER_INDEX = 1000
OUTPUT = output_of(
    "view",
    MARKER,
    keys=("viewed_manifest_sha256",),
    files=(
        *PAGE_FILES,
        f"{DATA}/dataset.js",
        f"{DATA}/index-*.js",
        f"{DATA}/block-*.js",
        f"{DATA}/thumbnails-*.webp",
        RECORDING,
    ),
)
Format = Literal["page", "rerun"]


def view(
    dataset: Path, out: Path, *, format_: Format = "page", progress: Progress = silent
) -> dict[str, Any]:
    """Write what shows all episodes of a dataset into `out`.

    One episode is held at a time. A page is the same bytes for the same dataset.

    Args:
        dataset: folder of episodes or shards.
        out: folder of the page or the recording, replaced at the end.
        format_: a page, to be opened by its `index.html`, or a recording for Rerun.
        progress: called after every episode.

    Returns:
        num_episodes, num_files and megabytes.

    Raises:
        UserError: the dataset is missing or damaged, Rerun is not installed, or `open_work` refuses
            `out`.
    """
    if format_ == "rerun":
        rerun_module()  # before any work
    manifest = load_any_manifest(dataset)
    manifest_sha256 = sha256_file(dataset / MANIFEST)
    fingerprint = {
        "manifest_sha256": manifest_sha256, "format": format_, "code": code_of(__name__),
    }  # fmt: skip
    with open_work(out, OUTPUT, fingerprint, [dataset]) as work:
        progress(0, manifest.num_episodes, "episodes")
        if format_ == "page":
            _write_page(work.folder, dataset, manifest, manifest_sha256, progress)
        else:
            episodes = (episode for _, episode in _episodes(dataset, manifest))
            path = work.folder / RECORDING
            for done in write_recording(path, manifest_sha256, episodes, manifest.spec):
                progress(done, manifest.num_episodes, "episodes")
        write_json(work.folder / MARKER, {"viewed_manifest_sha256": manifest_sha256})
        work.publish()
    files = [path for path in out.rglob("*") if path.is_file()]
    num_bytes = sum(path.stat().st_size for path in files)
    return {
        "num_episodes": manifest.num_episodes,
        "num_files": len(files),
        "megabytes": round(num_bytes / 1e6, 2),
    }


def _write_page(
    folder: Path, dataset: Path, manifest: Manifest, manifest_sha256: str, progress: Progress
) -> None:
    data = folder / DATA
    data.mkdir(exist_ok=True)
    facets = facets_of(manifest.entries(dataset))
    written = _Written(data, manifest.spec, facets)
    for done, (entry, episode) in enumerate(_episodes(dataset, manifest), start=1):
        written.add(entry, episode)
        progress(done, manifest.num_episodes, "episodes")
    written.close()
    write_script(data, "dataset", _about(manifest, manifest_sha256, facets, written))
    copy_page(folder)


def _episodes(dataset: Path, manifest: Manifest) -> Iterator[tuple[EpisodeEntry, Episode]]:
    tars, entries = manifest.tar_paths(dataset), manifest.entries(dataset)
    for entry, sample in tar_shards.described_samples(tars, manifest.spec, entries):
        yield entry, tar_shards.decode_described(entry, sample, manifest.spec)


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


def _about(
    manifest: Manifest, manifest_sha256: str, facets: Facets, written: _Written
) -> dict[str, Any]:
    """What the page must know before it loads anything else."""
    spec, environment = manifest.spec, manifest.params.get("environment")
    width, height = thumbnail_size(spec)
    return {
        "name": str(environment.get("name", "")) if isinstance(environment, dict) else "",
        "kind": manifest.kind,
        "manifest_sha256": manifest_sha256,
        "num_episodes": manifest.num_episodes,
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
