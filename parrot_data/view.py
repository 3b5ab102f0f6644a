"""Look through a dataset: a page of files that shows every episode, without a server.

The page lies in `viewing/page` as it is. Beside it stand the data, in scripts that the page loads
when they are looked at: an index of a line an episode, and blocks of whole episodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from parrot_data.episodes.episode import Episode
from parrot_data.progress import Progress, silent
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.manifest import MANIFEST, Manifest, load_any_manifest
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.picked import Part, Picked
from parrot_data.stores.publish import sha256_file, write_json
from parrot_data.stores.sources import code_of
from parrot_data.viewing.page_writer import WRITTEN, About, size_of, write_page
from parrot_data.viewing.recording import rerun_module, write_recording

MARKER, RECORDING = "view.json", "recording.rrd"
OUTPUT = output_of("view", MARKER, keys=("viewed_manifest_sha256",), files=(*WRITTEN, RECORDING))
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
            about, entries = _about(manifest, manifest_sha256), manifest.entries(dataset)
            write_page(work.folder, about, entries, _episodes(dataset, manifest), progress)
        else:
            episodes = (episode for _, episode in _episodes(dataset, manifest))
            path = work.folder / RECORDING
            for done in write_recording(path, manifest_sha256, episodes, manifest.spec):
                progress(done, manifest.num_episodes, "episodes")
        write_json(work.folder / MARKER, {"viewed_manifest_sha256": manifest_sha256})
        work.publish()
    return {"num_episodes": manifest.num_episodes, **size_of(out)}


def _episodes(dataset: Path, manifest: Manifest) -> Iterator[tuple[EpisodeEntry, Episode]]:
    picked = Picked([Part(dataset, manifest, bytes([1]) * manifest.num_episodes)])
    return zip(picked.entries(), picked.episodes(), strict=True)


def _about(manifest: Manifest, manifest_sha256: str) -> About:
    environment = manifest.params.get("environment")
    return About(
        name=str(environment.get("name", "")) if isinstance(environment, dict) else "",
        kind=manifest.kind,
        sha256=manifest_sha256,
        spec=manifest.spec,
        num_episodes=manifest.num_episodes,
    )
