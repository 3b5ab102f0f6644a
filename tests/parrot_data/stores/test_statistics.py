"""Streamed statistics are those of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic import SPEC, SPECS, synthetic_episode, synthetic_episodes

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores.statistics import DatasetStatistics, RunningStatistics


def statistics_of(episodes: list[Episode], spec: EpisodeSpec = SPEC) -> DatasetStatistics:
    running = RunningStatistics(spec)
    for episode in episodes:
        running.add(episode)
    return running.result()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_stream_equals_the_whole(spec: EpisodeSpec) -> None:
    episodes = synthetic_episodes(20, spec=spec)
    result = statistics_of(episodes, spec)
    assert result.vectors.keys() == spec.vectors.keys()
    assert result.images.keys() == spec.images.keys()
    spreads = {"actions": result.action} | {
        f"observation.{name}": spread for name, spread in result.vectors.items()
    }
    for name, spread in spreads.items():
        wide = np.concatenate([e.arrays()[name] for e in episodes]).astype(np.float64)
        np.testing.assert_allclose(spread.mean, wide.mean(axis=0), rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(spread.std, wide.std(axis=0), rtol=1e-10)
        np.testing.assert_array_equal(spread.min, wide.min(axis=0))
        np.testing.assert_array_equal(spread.max, wide.max(axis=0))
    for name, moments in result.images.items():
        pixels = np.concatenate([e.observations[name].reshape(-1, 3) for e in episodes])
        np.testing.assert_allclose(moments.mean, pixels.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.std, pixels.std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("value", [0.1, -3e-5, 1.0])
def test_constant_columns_have_no_deviation(value: float) -> None:
    constant = [replace(e, actions=np.full_like(e.actions, value)) for e in synthetic_episodes(20)]
    result = statistics_of(constant)
    assert result.action.std == [0.0] * 7
    assert result.action.mean == result.action.min == result.action.max == [np.float32(value)] * 7


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["actions", "observation.proprioception"])
def test_a_number_that_is_not_finite_is_refused(name: str, value: float) -> None:
    episode = synthetic_episode(3)
    episode.arrays()[name][-1, 2] = value
    with pytest.raises(UserError, match=r"episode 3: its (actions|proprioception) hold a number"):
        statistics_of([episode])


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("other", SPECS.values(), ids=SPECS)
def test_statistics_know_what_they_are_of(spec: EpisodeSpec, other: EpisodeSpec) -> None:
    result = statistics_of(synthetic_episodes(2, spec=spec), spec)
    if spec is other:
        result.check(other)
    else:
        with pytest.raises(ValueError, match="statistics"):
            result.check(other)
