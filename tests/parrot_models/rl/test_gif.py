"""Laws of films: what has few colours comes back exactly, and what stands still costs nothing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from parrot_models.rl.gif import gif_bytes, scaled


def frames_of(content: bytes) -> tuple[list[np.ndarray], list[int]]:
    """Frames as a browser shows them, and for how long each, ms."""
    frames, durations = [], []
    with Image.open(io.BytesIO(content)) as film:
        for frame in ImageSequence.Iterator(film):
            frames.append(np.array(frame.convert("RGB")))
            durations.append(frame.info["duration"])
    return frames, durations


def moving_square(num_frames: int, background: np.ndarray) -> list[np.ndarray]:
    frames = []
    for time in range(num_frames):
        frame = background.copy()
        frame[10:14, 3 * time : 3 * time + 4] = (250, 10, 20)
        frames.append(frame)
    return frames


@pytest.fixture
def gradient() -> np.ndarray:
    """Far more colours than a palette has."""
    rows, columns = np.mgrid[0:64, 0:96]
    return np.stack([2 * rows, 2 * columns, rows + columns], -1).astype(np.uint8)


def test_few_colours_come_back_exactly() -> None:
    frames = moving_square(6, np.full((32, 40, 3), (9, 80, 200), np.uint8))
    content = gif_bytes(frames, [100, 200, 30, 100, 100, 1000], num_colors=16)
    shown, durations = frames_of(content)
    np.testing.assert_array_equal(shown, frames)
    assert durations == [100, 200, 30, 100, 100, 1000]


def test_the_same_frames_are_the_same_bytes(gradient: np.ndarray) -> None:
    films = [gif_bytes(moving_square(5, gradient), [100] * 5, num_colors=32) for _ in range(2)]
    assert films[0] == films[1]


def test_a_small_thing_keeps_its_colour_before_a_wide_background(gradient: np.ndarray) -> None:
    shown, _ = frames_of(gif_bytes(moving_square(5, gradient), [100] * 5, num_colors=32))
    for time, frame in enumerate(shown):
        inside = frame[10:14, 3 * time : 3 * time + 4].reshape(-1, 3)
        assert np.abs(inside.astype(int) - (250, 10, 20)).max() < 24
    assert np.abs(np.array(shown[0]).astype(int) - moving_square(1, gradient)[0]).mean() < 12


def test_what_does_not_change_costs_nothing_and_never_flickers() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
    still = len(gif_bytes([noise], [100], num_colors=64))
    content = gif_bytes(moving_square(20, noise), [100] * 20, num_colors=64)
    assert len(content) < 3 * still
    shown, _ = frames_of(content)
    below = np.array(shown)[:, 20:]
    assert (below == below[0]).all()


def test_a_comment_is_kept() -> None:
    content = gif_bytes([np.zeros((8, 8, 3), np.uint8)], [100], num_colors=2, comment="of a run")
    with Image.open(io.BytesIO(content)) as film:
        assert film.info["comment"] == b"of a run"


def test_another_height_keeps_the_proportions(gradient: np.ndarray) -> None:
    assert scaled(gradient, 64) is gradient
    assert scaled(gradient, 32).shape == (32, 48, 3)
    assert scaled(gradient, 128).shape == (128, 192, 3)
