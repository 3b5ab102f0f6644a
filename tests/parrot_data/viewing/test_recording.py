"""A recording for Rerun holds every number and every image, as Rerun reads it."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from synthetic import SPECS, synthetic_episodes, write_raw
from typer.testing import CliRunner

from cli.main import app
from parrot_data.view import RECORDING, view
from parrot_data.viewing.recording import path_of

HAS_RERUN = importlib.util.find_spec("rerun") is not None


@pytest.mark.skipif(not HAS_RERUN, reason="rerun-sdk is not installed (extra `rerun`)")
@pytest.mark.parametrize("name", ["tabletop-like", "two images", "vectors alone"])
def test_a_recording_is_read_back(tmp_path: Path, name: str) -> None:
    from rerun.chunk import RrdReader

    spec, found = SPECS[name], dict[str, dict[str, Any]]()
    episodes = synthetic_episodes(4, spec=spec)
    view(write_raw(tmp_path / "raw", episodes, spec), tmp_path / "out", format_="rerun")
    for chunk in RrdReader(tmp_path / "out" / RECORDING).stream().to_chunks():
        columns = chunk.to_record_batch().to_pydict()
        into = found.setdefault(chunk.entity_path, {key: [] for key in columns})
        for key, values in columns.items():
            into[key] += values
    for episode in episodes:
        entity = f"/{path_of(episode.index)}"
        assert found[entity]["task"] == [[episode.task]]
        assert found[entity]["success"] == [[episode.success]]
        vectors = {f"observation/{key}": episode.observations[key] for key in spec.vectors}
        curves = {"actions": episode.actions, "rewards": episode.rewards[:, None], **vectors}
        for key, rows in curves.items():
            assert found[f"{entity}/{key}"]["step"] == list(range(len(rows)))
            assert (np.array(found[f"{entity}/{key}"]["Scalars:scalars"]) == rows).all()
        for key in spec.images:
            blobs = found[f"{entity}/observation/{key}"]["EncodedImage:blob"]
            frames = [np.asarray(Image.open(io.BytesIO(bytes(blob[0])))) for blob in blobs]
            assert (np.stack(frames) == episode.observations[key]).all()


@pytest.mark.skipif(HAS_RERUN, reason="rerun-sdk is installed")
def test_that_rerun_is_missing_is_told(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", synthetic_episodes(2))
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["view", str(raw), "--out", str(out), "--format", "rerun"])
    assert done.exit_code == 1
    assert "needs the package rerun-sdk" in done.stderr
    assert not out.exists()


def test_an_unknown_format_is_told(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", synthetic_episodes(2))
    args = ["view", str(raw), "--out", str(tmp_path / "out"), "--format", "movie"]
    done = CliRunner().invoke(app, args)
    assert (done.exit_code, "none of page, rerun" in done.stderr) == (1, True)
