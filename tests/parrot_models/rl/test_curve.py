from __future__ import annotations

from itertools import accumulate, pairwise

import pytest

from parrot_models.rl.evaluation import curve_rows, steps_to
from parrot_models.rl.learner import EpisodeSummary


def history_of(successes):
    return [EpisodeSummary(25 * (i + 1), 2.0 * s, bool(s), {}) for i, s in enumerate(successes)]


def test_rows_are_means_over_the_window_before_them():
    rows = curve_rows(history_of([1, 1, 0, 0, 1, 1, 1, 1]), window=4, every=2)
    assert [row["env_steps"] for row in rows] == [100, 150, 200]
    assert [row["success_rate"] for row in rows] == [0.5, 0.5, 1.0]
    assert [row["episode_return"] for row in rows] == [1.0, 1.0, 2.0]


def test_the_last_episode_always_has_a_row():
    rows = curve_rows(history_of([0, 0, 0, 0, 1]), window=2, every=2)
    assert [row["env_steps"] for row in rows] == [50, 100, 125]
    short = curve_rows(history_of([1, 0]), window=40, every=4)
    assert [(row["env_steps"], row["num_episodes"]) for row in short] == [(50, 2)]


@pytest.mark.parametrize("window", [1, 3, 9])
@pytest.mark.parametrize("every", [1, 2, 5])
@pytest.mark.parametrize("rounds", [[1] * 7, [2, 2, 2, 2], [7], [3, 4]])
def test_rows_one_after_the_other_are_all_rows_once(window, every, rounds):
    history, rows = history_of([1, 0, 0, 1, 1, 0, 1, 1][: sum(rounds)]), []
    ends = list(accumulate(rounds))
    for since, end in pairwise([0, *ends]):
        is_over = end == ends[-1]
        rows += curve_rows(history[:end], window, every, since=since, is_over=is_over)
    assert rows == curve_rows(history, window, every)


def test_steps_to_a_success_rate_are_those_of_the_first_window_to_reach_it():
    rows = curve_rows(history_of([1, 0, 0, 1, 1, 0, 1, 1, 1]), window=2, every=1)
    assert steps_to(rows, 0.5) == 50
    assert steps_to(rows, 0.8) == 125
    assert steps_to(curve_rows(history_of([0] * 5), window=2, every=1), 0.5) is None
