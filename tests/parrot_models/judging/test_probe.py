"""The probe finds what features hold, and nothing where they hold nothing."""

from __future__ import annotations

import numpy as np
import pytest

from parrot_models.judging.probe import ProbeScenes, probe_error_cm


@pytest.fixture
def scenes() -> ProbeScenes:
    """Pictures whose first two pixels are the position, coarsely."""
    positions = np.random.default_rng(0).uniform(0.0, 0.255, (400, 2))
    images = np.zeros((400, 4, 4, 3), np.uint8)
    images[:, 0, :2, 0] = np.round(positions * 1000)
    return ProbeScenes(images, np.zeros((400, 8), np.float32), positions)


def test_features_that_hold_the_position_have_no_error(scenes: ProbeScenes) -> None:
    error = probe_error_cm(scenes, lambda s: s.images.astype(np.float32))
    assert error < 0.1


def test_features_that_hold_nothing_err_like_guessing_the_mean(scenes: ProbeScenes) -> None:
    error = probe_error_cm(scenes, lambda s: np.zeros((len(s.images), 3), np.float32))
    test = scenes.positions[320:] - scenes.positions[:320].mean(0)
    assert error == pytest.approx(100 * np.linalg.norm(test, axis=1).mean(), rel=1e-3)


def test_features_beyond_the_number_of_scenes_are_solved_alike(scenes: ProbeScenes) -> None:
    def narrow(scenes: ProbeScenes) -> np.ndarray:
        return scenes.images.reshape(len(scenes.images), -1).astype(np.float32)

    def wide(scenes: ProbeScenes) -> np.ndarray:
        return np.pad(narrow(scenes), ((0, 0), (0, 500)))

    noise = np.random.default_rng(1).normal(scale=0.05, size=scenes.positions.shape)
    noisy = ProbeScenes(scenes.images, scenes.proprioception, scenes.positions + noise)
    assert probe_error_cm(noisy, wide) == pytest.approx(probe_error_cm(noisy, narrow), rel=1e-9)
