"""What a page's scripts give to the browser, read without one."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.viewing.pictures import layout_of
from tests.parrot_data.synthetic import synthetic_episode

HOSTILE = {
    "task": "</script><b>pick</b>",
    "failure": "\"><img src=x onerror='window.beaten=1'>",
    "object": "a 'cup' & \"saucer\" <i>é\u2028</i>",
}


def given_by(script: Path) -> Any:
    """The value that a script passes on; it must say that one sentence and nothing else."""
    said = re.fullmatch(r'parrot\.receive\("([a-z0-9-]+)",(".*")\)\n', script.read_text("ascii"))
    assert said is not None, script
    assert said[1] == script.stem
    assert "<" not in said[2]
    return json.loads(json.loads(said[2]))


def rows_of(page: Path) -> list[list[Any]]:
    """The index."""
    return [row for script in sorted(page.glob("data/index-*.js")) for row in given_by(script)]


def pieces_of(page: Path) -> list[dict[str, Any]]:
    """What lies in each block, by key."""
    return [given_by(script) for script in sorted(page.glob("data/block-*.js"))]


def numbers(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def frames_in(
    pieces: list[dict[str, Any]], position: int, name: str, spec: EpisodeSpec, num_frames: int
) -> np.ndarray:
    """Frames of a camera, cut from their sheets as the page does it."""
    image = spec.images[name]
    layout = layout_of(image.height, image.width)
    block = next(block for block in pieces if str(position) in block)
    frames: list[np.ndarray] = []
    for number, of in enumerate(block[str(position)]["images"][name]["sheets"]):
        content = base64.b64decode(pieces[of][f"{position}/{name}/{number}"])
        sheet = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        count = min(layout.num_frames, num_frames - len(frames))
        columns = min(layout.num_columns, count)
        for at in range(count):
            y, x = at // columns * image.height, at % columns * image.width
            frames.append(sheet[y : y + image.height, x : x + image.width])
    return np.stack(frames)


def hostile_episodes(count: int, spec: EpisodeSpec) -> list[Episode]:
    """Episodes with names that would be markup in a careless page."""
    episodes = (synthetic_episode(index, spec=spec) for index in range(count))
    return [
        dataclasses.replace(
            episode,
            task=HOSTILE["task"] if episode.task == "pick" else episode.task,
            failure=HOSTILE["failure"] if episode.failure == "dropped" else episode.failure,
            facts={**episode.facts, "objects": [HOSTILE["object"], f"number {episode.index % 3}"],
                   "__proto__": {"beaten": True}, "seed": episode.index},
        )
        for episode in episodes
    ]  # fmt: skip
