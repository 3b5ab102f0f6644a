"""A recording for Rerun (https://rerun.io): the same episodes, in that viewer."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parrot_data.episodes.episode import OBSERVATION, Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError

TIMELINE = "step"


def rerun_module() -> Any:
    """Rerun's package.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module("rerun")
    except ModuleNotFoundError as error:
        raise UserError(
            "--format rerun needs the package rerun-sdk: `pip install 'parrot-priors[rerun]'`."
        ) from error


def path_of(index: int) -> str:
    """The entity of an episode; below it lie its arrays, by their names."""
    return f"episode_{index:08d}"


def write_recording(
    path: Path, name: str, episodes: Iterable[Episode], spec: EpisodeSpec
) -> Iterator[int]:
    """Write episodes one by one, yielding how many are written.

    Images are PNG; actions, rewards and vectors are scalars; what else is said of an episode stands
    at its entity for all time. Rerun writes when a recording was made: its bytes differ every time.

    Args:
        path: of the .rrd file.
        name: of the recording, such as its manifest's hash.
        episodes: to write.
        spec: of the episodes.

    Raises:
        UserError: rerun-sdk is not installed.
    """
    rerun = rerun_module()
    recording = rerun.RecordingStream("parrot", recording_id=name)
    recording.save(path)
    for done, episode in enumerate(episodes, start=1):
        _log(rerun, recording, path_of(done - 1), episode, spec)
        yield done
    recording.flush()
    recording.disconnect()


def _log(rerun: Any, recording: Any, entity: str, episode: Episode, spec: EpisodeSpec) -> None:
    told = {
        "index": episode.index,
        "task": episode.task,
        "success": episode.success,
        "failure": episode.failure,
        "terminated": episode.terminated,
        "facts": json.dumps(episode.facts, sort_keys=True),
    }
    recording.log(entity, rerun.AnyValues(**told), static=True)
    curves = {"actions": episode.actions, "rewards": episode.rewards[:, None]}
    curves |= {f"{OBSERVATION}/{key}": episode.observations[key] for key in spec.vectors}
    for key, rows in curves.items():
        columns = rerun.Scalars.columns(scalars=rows.astype(np.float64))
        _send(rerun, recording, f"{entity}/{key}", len(rows), columns)
    for key in spec.images:
        blobs = [_png(frame) for frame in episode.observations[key]]
        columns = rerun.EncodedImage.columns(blob=blobs, media_type=["image/png"] * len(blobs))
        _send(rerun, recording, f"{entity}/{OBSERVATION}/{key}", len(blobs), columns)


def _send(rerun: Any, recording: Any, entity: str, num_rows: int, columns: Any) -> None:
    steps = rerun.TimeColumn(TIMELINE, sequence=range(num_rows))
    rerun.send_columns(entity, [steps], columns, recording=recording)


def _png(frame: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(frame).save(content, format="png", compress_level=1)
    return content.getvalue()
