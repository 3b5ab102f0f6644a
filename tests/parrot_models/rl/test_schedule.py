from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parrot_models.rl.learner import Schedule

SCHEDULE = Schedule(
    warmup_steps=100, critic_only_updates=0, batch_size=4, utd=0.5, total_steps=1000, final_rate=0.1
)


def test_updates_are_due_from_the_end_of_the_warm_up_on():
    due = [SCHEDULE.updates_by(step) for step in (0, 99, 100, 101, 102, 1000)]
    assert due == [0, 0, 0, 0, 1, 450]


def test_rates_fall_linearly_to_their_share_and_stay_there():
    rates = [SCHEDULE.rate_at(step) for step in (0, 500, 1000, 2000)]
    assert rates == pytest.approx([1.0, 0.55, 0.1, 0.1])


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_first_episodes_are_guided_and_then_a_share(share):
    schedule = replace(SCHEDULE, guided_episodes=5, guided_share=share)
    rng = np.random.default_rng(0)
    guided = np.concatenate([schedule.draw_guided(first, 4, rng) for first in range(0, 4000, 4)])
    assert guided[:5].all()
    assert guided[5:].mean() == pytest.approx(share, abs=0.05)


def test_without_a_share_nothing_is_drawn():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    replace(SCHEDULE, guided_episodes=5).draw_guided(3, 4, rng)
    assert rng.bit_generator.state == before
