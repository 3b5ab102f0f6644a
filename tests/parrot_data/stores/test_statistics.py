"""Streamed statistics are those of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic import synthetic_episodes

from parrot_data.stores.statistics import RunningStatistics


def statistics_of(episodes):
    running = RunningStatistics()
    for episode in episodes:
        running.add(episode)
    return running.result()


def test_stream_equals_the_whole() -> None:
    episodes = synthetic_episodes(20)
    result = statistics_of(episodes)
    for spread, rows in (
        (result.action, np.concatenate([e.actions for e in episodes])),
        (result.proprioception, np.concatenate([e.proprioception for e in episodes])),
    ):
        wide = rows.astype(np.float64)
        np.testing.assert_allclose(spread.mean, wide.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(spread.std, wide.std(axis=0), rtol=1e-12)
        np.testing.assert_array_equal(spread.min, wide.min(axis=0))
        np.testing.assert_array_equal(spread.max, wide.max(axis=0))
    pixels = np.concatenate([e.images.reshape(-1, 3) for e in episodes]).astype(np.float64)
    np.testing.assert_allclose(result.image.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(result.image.std, pixels.std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("value", [0.1, -3e-5, 1.0])
def test_constant_columns_have_no_deviation(value: float) -> None:
    constant = [replace(e, actions=np.full_like(e.actions, value)) for e in synthetic_episodes(20)]
    result = statistics_of(constant)
    assert result.action.std == [0.0] * 7
    assert result.action.mean == result.action.min == result.action.max == [np.float32(value)] * 7
