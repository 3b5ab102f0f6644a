"""How far two records lie apart: the step, the array, the numbers, and what they look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from comparison.compared import with_changed
from synthetic import SPECS, synthetic_episode

from parrot_data.comparison.divergence import (
    LEAST_OF_CONTENT,
    MOST_OF_ARITHMETIC,
    Divergence,
    divergence,
)
from parrot_data.episodes.episode import Episode

EPISODE = synthetic_episode(3)  # of 80 steps


def altered(name: str, step: int, by: float, until: int | None = None) -> Episode:
    """The episode with one number of a row, or of the rows from there on, moved by so much."""

    def change(rows: np.ndarray) -> None:
        flat = rows.reshape(len(rows), -1)
        flat[step : step + 1 if until is None else until, 0] += np.array(by).astype(rows.dtype)

    return with_changed(EPISODE, name, change)


def of(simulated: Episode, stored: Episode = EPISODE) -> Divergence:
    return divergence(stored, simulated)


@pytest.mark.parametrize("name", SPECS)
def test_of_an_episode_and_itself_nothing_differs(name: str) -> None:
    one, other = (synthetic_episode(1, spec=SPECS[name]) for _ in range(2))
    found = divergence(one, other)
    assert found.arrays == found.fields == []


@pytest.mark.parametrize("name", EPISODE.arrays())
@pytest.mark.parametrize("step", [0, 17, 79])
def test_step_array_and_size_of_a_difference_are_found(name: str, step: int) -> None:
    other = altered(name, step, 8.0)
    found = of(other).arrays
    before, after = (e.arrays()[name].astype(np.float64) for e in (EPISODE, other))
    assert [(each.array, each.first_step, each.num_steps) for each in found] == [(name, step, 1)]
    assert found[0].first_difference == np.abs(after - before).max() > 0
    assert found[0].max_difference == found[0].first_difference
    assert found[0].size == max(np.abs(before).max(), np.abs(after).max())


def test_what_comes_first_is_told_first() -> None:
    other = altered("actions", 20, 1e-6)
    image = altered("observation.image", 21, 9).observations["image"]
    other = replace(other, observations={**other.observations, "image": image})
    assert [each.array for each in of(other).arrays] == ["actions", "observation.image"]
    assert of(other).looks_like == "other arithmetic"
    assert of(other).largest == of(other).arrays[1]


@pytest.mark.parametrize(
    ("first", "second"),
    [("observation.proprioception", "actions"), ("actions", "rewards"),
     ("observation.proprioception", "observation.image")],
)  # fmt: skip
def test_of_one_step_an_observation_comes_before_the_action_and_that_before_the_reward(
    first: str, second: str
) -> None:
    arrays = {name: altered(name, 5, 1.0).arrays()[name] for name in (first, second)}
    both = EPISODE
    for name, array in arrays.items():
        both = with_changed(both, name, lambda rows, array=array: np.copyto(rows, array))
    assert [each.array for each in of(both).arrays] == [first, second]


@pytest.mark.parametrize(
    ("share", "looks"),
    [
        (0.9 * MOST_OF_ARITHMETIC, "other arithmetic"),
        ((MOST_OF_ARITHMETIC * LEAST_OF_CONTENT) ** 0.5, "unclear"),
        (1.1 * LEAST_OF_CONTENT, "other content"),
    ],
)
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_the_first_difference_decides_by_its_share_of_the_largest_value(
    share: float, looks: str, size: float
) -> None:
    stored = with_changed(EPISODE, "actions", lambda rows: rows.fill(size))
    other = with_changed(stored, "actions", lambda rows: rows[9].__isub__(share * size))
    later = with_changed(other, "actions", lambda rows: rows[10].fill(-size))
    assert of(other, stored).looks_like == looks
    assert of(later, stored).looks_like == looks


@pytest.mark.parametrize(
    "change",
    [
        lambda e: replace(e, success=not e.success),
        lambda e: replace(e, facts={**e.facts, "size_m": 0.25}),
        lambda e: replace(e, task="push"),
        lambda e: replace(altered("actions", 3, 1e-7), task="push"),
        lambda e: replace(
            e,
            actions=e.actions[:-1],
            rewards=e.rewards[:-1],
            observations={k: v[:-1] for k, v in e.observations.items()},
            privileged={k: v[:-1] for k, v in e.privileged.items()},
        ),
        lambda e: altered("observation.image", 3, 40),
    ],
)
def test_what_no_arithmetic_changes_is_other_content(change: Callable[[Episode], Episode]) -> None:
    found = of(change(EPISODE))
    assert found.fields or found.arrays
    assert found.looks_like == "other content"


def test_a_drift_that_turns_a_success_into_a_failure_is_still_one() -> None:
    drifted = altered("actions", 3, 1e-7, until=80)
    found = of(replace(drifted, success=not EPISODE.success, terminated=not EPISODE.terminated))
    assert found.fields == ["success", "terminated"]
    assert found.looks_like == "other arithmetic"


@pytest.mark.parametrize(("was", "is_"), [(0.0, -0.0), (0.0, np.nan), (np.inf, 1.0)])
def test_bits_count_where_values_cannot_be_subtracted(was: float, is_: float) -> None:
    stored = with_changed(EPISODE, "actions", lambda rows: rows[4].fill(was))
    assert of(stored, stored).arrays == []
    found = of(with_changed(stored, "actions", lambda rows: rows[4].fill(is_)), stored)
    assert [(each.first_step, each.num_steps) for each in found.arrays] == [(4, 1)]
    assert found.arrays[0].first_difference == (0.0 if is_ == 0.0 else np.inf)
    assert found.looks_like == ("other arithmetic" if is_ == 0.0 else "other content")
