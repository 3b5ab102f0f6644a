from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict

from parrot_models.rl.replay import DemoReplay, ReplayBuffer

SPACE = Dict({"number": Box(-np.inf, np.inf, (1,), np.float32)})
STEPS, NUM_KEPT = 4, 3


def make_memory(num_lanes=1, capacity=40):
    def make(size):
        return ReplayBuffer(size, SPACE, 1, 2, 0.9, num_lanes)

    rounds = -(-NUM_KEPT // num_lanes)
    kept = make(num_lanes * rounds * (STEPS + 1))
    return DemoReplay(make(capacity), kept, NUM_KEPT, num_lanes)


def roll_out(memory, rounds, num_lanes=1):
    """Episodes of STEPS steps in each lane; all that is seen and done in one is its number."""
    for number in rounds:
        for lane in range(num_lanes):
            memory.begin({"number": np.array([number * num_lanes + lane])}, lane)
        for _ in range(STEPS):
            for lane in range(num_lanes):
                told = np.array([number * num_lanes + lane])
                memory.append(told, 1.0, {"number": told}, terminated=False, lane=lane)


def episodes_of(batch):
    assert (batch.observations["number"] == batch.actions).all()
    assert (batch.next_observations["number"] == batch.actions).all()
    return batch.actions[:, 0].int().numpy()


@pytest.mark.parametrize("num_lanes", [1, 2])
def test_half_of_a_batch_is_of_the_first_episodes_however_long_ago(num_lanes):
    memory = make_memory(num_lanes)
    roll_out(memory, range(30), num_lanes)  # of the others, the last 8 episodes fit
    drawn = episodes_of(memory.sample(400, np.random.default_rng(0)))
    assert set(drawn[:200]) == set(range(NUM_KEPT))
    recent = 40 // (STEPS + 1)
    assert set(drawn[200:]) == set(range(30 * num_lanes - recent, 30 * num_lanes))


def test_an_odd_batch_is_whole():
    memory = make_memory()
    roll_out(memory, range(5))
    assert len(episodes_of(memory.sample(7, np.random.default_rng(0)))) == 7


def test_a_restored_memory_goes_on_like_the_original():
    original = make_memory()
    roll_out(original, range(2))  # one more will be kept
    restored = make_memory()
    restored.load_state_dict(original.state_dict())
    for memory in (original, restored):
        roll_out(memory, range(2, 20))
    drawn = [episodes_of(m.sample(100, np.random.default_rng(0))) for m in (original, restored)]
    assert (drawn[0] == drawn[1]).all()
    assert len(original) == len(restored)
    assert 2 in drawn[0][:50]
