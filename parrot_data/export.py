"""Export a dataset in a format of others, with what that cannot hold in a folder beside it.

An export is a folder: the files of the format, as its own users call them, and `parrot/`, the
sidecar, by which `import` makes the same dataset of it again.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.exchange.format import ExportOptions, Format, Rows
from parrot_data.exchange.formats import format_of
from parrot_data.progress import Progress, silent
from parrot_data.section import Section
from parrot_data.stores.manifest import MANIFEST, Manifest, load_any_manifest
from parrot_data.stores.outputs.layout import Output, json_in, matches, names_in
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.picked import Part, Picked
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.selection import Selection, select
from parrot_data.stores.sidecar import FOLDER, MARKER, SidecarWriter
from parrot_data.stores.sources import code_of

_log = logging.getLogger(__name__)
_MAKING = "making"  # in the work folder: what is not whole yet


class ExportParams(Section):
    """How a dataset is exported.

    Attributes:
        format: its name, see `parrot_data.exchange.formats`.
        control_rate_hz: actions a second, where the dataset's spec does not say them; None where
            nobody knows.
    """

    format: str
    control_rate_hz: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None


def _files_of(folder: Path) -> Collection[str] | None:
    said = json_in(folder / MARKER)
    if not isinstance(said, dict) or not isinstance(said.get("files"), list) or "held" not in said:
        return None
    foreign = {name for name in said["files"] if isinstance(name, str)}
    own = (f"{FOLDER}/*",)
    return {name for name in names_in(folder) if name in foreign or matches(name, own)}


OUTPUT = Output("export", MARKER, _files_of, scratch=(_MAKING,))


@dataclass(frozen=True)
class _Dataset:
    """What is exported: all of a folder, or the kept of it.

    Attributes:
        folder: of the dataset.
        manifest: its own.
        picked: the episodes.
        kept: what chose them, None of all.
    """

    folder: Path
    manifest: Manifest
    picked: Picked
    kept: Selection | None

    @property
    def params(self) -> dict[str, Any]:
        """Of the stages that made the episodes."""
        decided = {} if self.kept is None else {"filter": self.kept.decision.params}
        return {**self.manifest.params, **decided}


def export(
    params: ExportParams,
    dataset: Path,
    out: Path,
    *,
    kept: Path | None = None,
    progress: Progress = silent,
) -> dict[str, object]:
    """Write a dataset in a format of others under `out`, and its sidecar.

    What went into the sidecar is logged, a sentence. An interrupted export begins anew.

    Args:
        params: the format.
        dataset: a folder of episodes or shards.
        out: folder of the result, replaced at the end.
        kept: folder that `filter` wrote for these episodes: no others are exported.
        progress: called after each episode.

    Returns:
        format, num_episodes, num_steps, num_files and num_bytes.

    Raises:
        UserError: the dataset is missing or damaged, the format cannot say it, or `open_work`
            refuses `out`.
    """
    format_ = format_of(params.format)
    source = _dataset_of(dataset, kept)
    fingerprint = {
        "params": params.model_dump(),
        "dataset": sha256_file(dataset / MANIFEST),
        "kept": None if source.kept is None else source.kept.sources.kept_sha256,
        "code": code_of(__name__),
    }
    options = _options_of(source, params)
    with open_work(out, OUTPUT, fingerprint, [dataset, *([kept] if kept else [])]) as work:
        making = _cleared(work.folder, format_)
        held = format_.holds.rows(source.manifest.spec)
        names = _write(source, format_, options, making, held, progress)
        num_bytes = sum((making / name).stat().st_size for name in names)
        for path in sorted(making.iterdir()):
            path.replace(work.folder / path.name)
        making.rmdir()
        work.publish()
    _tell(out, format_, source, held)
    return {
        "format": format_.name,
        "num_episodes": len(source.picked),
        "num_steps": options.num_steps,
        "num_files": len(names),
        "num_bytes": num_bytes,
    }


def _dataset_of(folder: Path, kept: Path | None) -> _Dataset:
    if kept is None:
        manifest = load_any_manifest(folder)
        everything = Part(folder, manifest, bytes([1]) * manifest.num_episodes)
        source = _Dataset(folder, manifest, Picked([everything]), None)
    else:
        selection = select(folder, kept)
        source = _Dataset(folder, selection.manifest, selection.picked, selection)
    if not len(source.picked):
        raise UserError(f"{folder} holds no episode: name another dataset.")
    return source


def _options_of(source: _Dataset, params: ExportParams) -> ExportOptions:
    """What is known of all episodes from their entries."""
    tasks, num_steps = set[str](), 0
    for entry in source.picked.entries():
        tasks.add(entry.task)
        num_steps += entry.num_steps
    known = source.manifest.spec.control_rate_hz
    asked = params.control_rate_hz
    if known is not None and asked not in (None, known):
        raise UserError(
            f"--control-rate is {asked:g}, but {source.folder} says {known:g}: leave it out."
        )
    return ExportOptions(tuple(sorted(tasks)), num_steps, known if asked is None else asked)


def _cleared(work: Path, format_: Format) -> Path:
    """An empty folder to write into, once nothing is left of an export that was cut short."""
    for path in list(work.iterdir()):
        if matches(path.name, (*format_.makes, FOLDER, _MAKING)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    making = work / _MAKING
    making.mkdir()
    return making


def _write(
    source: _Dataset,
    format_: Format,
    options: ExportOptions,
    folder: Path,
    held: Mapping[str, Rows],
    progress: Progress,
) -> list[str]:
    """Write both in one pass over the episodes; gives the names of all files."""
    spec, total = source.manifest.spec, len(source.picked)
    sidecar_folder = folder.with_name(f"{folder.name}.{FOLDER}.tmp")
    shutil.rmtree(sidecar_folder, ignore_errors=True)
    sidecar = SidecarWriter(sidecar_folder, spec, held)

    def episodes() -> Iterator[Episode]:
        for done, (entry, episode) in enumerate(
            zip(source.picked.entries(), source.picked.episodes(), strict=True)
        ):
            progress(done, total, "episodes")
            sidecar.add(episode, entry)
            yield episode
        progress(total, total, "episodes")

    try:
        format_.write(episodes(), spec, total, folder, options)
        foreign = list(names_in(folder))
        strange = [name for name in foreign if not matches(name.split("/")[0], format_.makes)]
        if strange or not foreign:
            raise RuntimeError(f"{format_.name} made {strange or 'nothing'}, not {format_.makes}")
        sidecar.close(format_.name, source.manifest, source.params, foreign)
    finally:
        sidecar.abandon()
    sidecar_folder.replace(folder / FOLDER)
    return [*foreign, *(f"{FOLDER}/{name}" for name in names_in(folder / FOLDER))]


def _tell(out: Path, format_: Format, source: _Dataset, held: Mapping[str, Rows]) -> None:
    """Say what the format does not show of the dataset, and what its readers should know."""
    rest = [name for name, rows in held.items() if rows == "none"]
    lasts = [name for name, rows in held.items() if rows == "steps"]
    parts = ["the spec, params, facts, failures and hashes of the episodes"]
    parts += [f"the last row an episode of {', '.join(lasts)}"] if lasts else []
    parts += [f"all of {', '.join(rest)}"] if rest else []
    _log.warning(
        "what %s cannot hold lies in %s, for `parrot import`: %s",
        format_.name, out / FOLDER, "; ".join(parts),
    )  # fmt: skip
    for sentence in format_.remarks(source.manifest.spec):
        _log.warning("%s: %s", out, sentence)
