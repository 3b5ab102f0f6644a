"""Data as scripts: a page that was opened from a file may load scripts, and nothing else.

A script says one sentence, `parrot.receive("NAME", "JSON")`. The JSON is parsed as a string and so
means the same whatever its keys are called; no byte of it can be taken for code.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# One script is read whole to show one of its episodes, so it is to be small; but thousands of small
# files are a burden for every file system. 50 episodes of the tabletop are 0.3 MB.
EPISODES_PER_BLOCK = 50
BYTES_PER_BLOCK = 4_000_000


def write_script(folder: Path, name: str, value: Any) -> None:
    """Write `NAME.js`, which gives the page a JSON value under that name."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    _write(folder, name, text)


def base64_of(content: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(content).decode("ascii")


def numbers_text(array: NDArray[Any]) -> str:
    """An array's float32 numbers, little-endian, row by row, as text."""
    return base64_of(np.ascontiguousarray(array, dtype="<f4").tobytes())


class Blocks:
    """Scripts that hold the pieces of episodes, `block-00000.js` and so on; one is in memory.

    Args:
        folder: where they are written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number, self._num_episodes, self._num_bytes = 0, 0, 0
        self._pieces: list[str] = []

    @property
    def num_blocks(self) -> int:
        """How many there are so far, the one in memory included."""
        return self._number + bool(self._pieces)

    def begin_episode(self) -> None:
        """Say that what is put from now on is another episode's."""
        if self._num_episodes >= EPISODES_PER_BLOCK:
            self._finish()
        self._num_episodes += 1

    def put(self, key: str, value: Any) -> int:
        """Keep a piece, a JSON value, under a key of its own; returns the number of its block."""
        piece = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
        if self._pieces and self._num_bytes + len(piece) > BYTES_PER_BLOCK:
            self._finish()
        self._pieces.append(f"{json.dumps(key)}:{piece}")
        self._num_bytes += len(piece)
        return self._number

    def close(self) -> None:
        """Write what is still in memory."""
        if self._pieces:
            self._finish()

    def _finish(self) -> None:
        _write(self._folder, f"block-{self._number:05d}", "{" + ",".join(self._pieces) + "}")
        self._number += 1
        self._num_episodes, self._num_bytes = 0, 0
        self._pieces = []


def _write(folder: Path, name: str, text: str) -> None:
    # "<" is spelled out, should anyone ever put a script's text into a page
    quoted = json.dumps(text).replace("<", "\\u003c")
    (folder / f"{name}.js").write_text(f'parrot.receive("{name}",{quoted})\n', encoding="ascii")
