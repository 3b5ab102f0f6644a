from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict

from parrot_models.rl.replay import ReplayBuffer

SPACE = Dict(
    {"image": Box(0, 255, (2, 2, 3), np.uint8), "place": Box(-np.inf, np.inf, (2,), np.float32)}
)
DISCOUNT = 0.9


class Diary:
    """The same episodes written down naively: every observation is (episode, step)."""

    def __init__(self, capacity, n_step, seed):
        self.replay = ReplayBuffer(capacity, SPACE, 1, n_step, DISCOUNT)
        self.rng = np.random.default_rng(seed)
        self.rewards, self.terminated = [], []

    def observation(self):
        episode, step = len(self.rewards) - 1, len(self.rewards[-1])
        image = np.full((2, 2, 3), (7 * episode + step) % 256, np.uint8)
        return {"image": image, "place": np.array([episode, step], np.float32)}

    def roll_out(self, num_steps, *, terminates):
        """One episode; it ends terminated, or cut off (truncated, or still under way)."""
        self.rewards.append([])
        self.terminated.append(terminates)
        self.replay.begin(self.observation())
        for step in range(num_steps):
            reward = float(self.rng.normal())
            self.rewards[-1].append(reward)
            ends = terminates and step == num_steps - 1
            self.replay.append(np.array([reward]), reward, self.observation(), terminated=ends)

    def window(self, episode, step, n_step):
        """Return, bootstrap discount and place of the window that starts there."""
        rewards = self.rewards[episode][step : step + n_step]
        total = sum(DISCOUNT**k * reward for k, reward in enumerate(rewards))
        end = step + len(rewards)
        is_terminal = self.terminated[episode] and end == len(self.rewards[episode])
        return total, 0.0 if is_terminal else DISCOUNT ** len(rewards), (episode, end)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_step", [1, 3, 20])
@pytest.mark.parametrize("capacity", [30, 1000])
def test_windows_equal_a_calculation_by_hand(seed, n_step, capacity):
    diary = Diary(capacity, n_step, seed)
    for _ in range(25):
        diary.roll_out(int(diary.rng.integers(1, 9)), terminates=bool(diary.rng.random() < 0.5))
        batch = diary.replay.sample(64, diary.rng)
        for row in range(64):
            episode, step = batch.observations["place"][row].int().tolist()
            total, discount, end = diary.window(episode, step, n_step)
            assert batch.returns[row].item() == pytest.approx(total, abs=1e-6)
            assert batch.discounts[row].item() == pytest.approx(discount)
            assert batch.next_observations["place"][row].int().tolist() == list(end)
            assert batch.actions[row].item() == pytest.approx(diary.rewards[episode][step])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_step", [1, 2, 20])
def test_windows_of_decisions_equal_a_calculation_by_hand(seed, n_step):
    replay, rng = ReplayBuffer(60, SPACE, 1, n_step, DISCOUNT), np.random.default_rng(seed)
    episodes = []  # of decisions: the rewards of their steps
    for number in range(25):
        decisions = [
            rng.normal(size=rng.integers(1, 5)).tolist() for _ in range(rng.integers(1, 5))
        ]
        terminates = bool(rng.random() < 0.5)
        episodes.append((decisions, terminates))
        image = np.zeros((2, 2, 3), np.uint8)
        replay.begin({"image": image, "place": np.array([number, 0])})
        for index, rewards in enumerate(decisions):
            for step, reward in enumerate(rewards):
                ends = step == len(rewards) - 1
                last = ends and index == len(decisions) - 1
                # Neither what is said nor what is seen while a decision lasts may be held.
                said = np.array([index if step == 0 else -1])
                place = np.array([number, index + 1]) if ends else np.array([-1, -1])
                seen = {"image": image, "place": place}
                replay.append(said, reward, seen, terminated=last and terminates, is_due=ends)
    batch = replay.sample(200, rng)
    for row in range(200):
        number, index = batch.observations["place"][row].int().tolist()
        decisions, terminates = episodes[number]
        window = decisions[index : index + n_step]
        rewards = [reward for decision in window for reward in decision]
        is_terminal = terminates and index + len(window) == len(decisions)
        discount = 0.0 if is_terminal else DISCOUNT ** len(rewards)
        total = sum(DISCOUNT**k * reward for k, reward in enumerate(rewards))
        assert batch.actions[row].item() == index
        assert batch.returns[row].item() == pytest.approx(total, abs=1e-6)
        assert batch.discounts[row].item() == pytest.approx(discount)
        end = batch.next_observations["place"][row].int().tolist()
        assert end == [number, index + len(window)]


@pytest.mark.parametrize("n_step", [1, 3, 20])
@pytest.mark.parametrize("capacity", [40, 1000])
def test_windows_never_run_from_one_environment_into_another(n_step, capacity):
    num_lanes = 3
    replay = ReplayBuffer(capacity, SPACE, 1, n_step, DISCOUNT, num_lanes)
    alone = [Diary(capacity // num_lanes, n_step, lane) for lane in range(num_lanes)]
    rng = np.random.default_rng(0)
    for _ in range(30):
        lengths = rng.integers(1, 9, num_lanes)
        rewards = rng.normal(size=(8, num_lanes))
        for lane, diary in enumerate(alone):
            diary.rewards.append([])
            diary.terminated.append(False)
            replay.begin(diary.observation(), lane)
        for step in range(8):
            for lane, diary in enumerate(alone):
                if step < lengths[lane]:
                    reward = float(rewards[step, lane])
                    diary.rewards[-1].append(reward)
                    seen, action = diary.observation(), np.array([100 * lane + reward])
                    replay.append(action, reward, seen, terminated=False, lane=lane)
        batch = replay.sample(64, rng)
        lanes = (batch.actions[:, 0] / 100).round().int().tolist()
        assert set(lanes) == {0, 1, 2}
        for row, lane in enumerate(lanes):
            episode, step = batch.observations["place"][row].int().tolist()
            total, discount, end = alone[lane].window(episode, step, n_step)
            assert batch.returns[row].item() == pytest.approx(total, abs=1e-6)
            assert batch.discounts[row].item() == pytest.approx(discount)
            assert batch.next_observations["place"][row].int().tolist() == list(end)


def test_all_keys_of_an_observation_belong_together():
    diary = Diary(50, 2, 0)
    for _ in range(20):
        diary.roll_out(5, terminates=False)
    batch = diary.replay.sample(100, diary.rng)
    for observations in (batch.observations, batch.next_observations):
        episode, step = observations["place"].int().unbind(-1)
        expected = (7 * episode + step) % 256
        assert (observations["image"].flatten(1) == expected[:, None]).all()


def test_every_transition_held_is_drawn_and_no_other():
    diary = Diary(20, 1, 0)
    for _ in range(7):
        diary.roll_out(4, terminates=False)  # 5 slots each: the last four episodes are held
    places = diary.replay.sample(2000, diary.rng).observations["place"].int()
    held = {(episode, step) for episode in range(3, 7) for step in range(4)}
    assert {tuple(place) for place in places.tolist()} == held
    assert len(diary.replay) == len(held)


def test_an_empty_buffer_refuses_to_be_sampled():
    diary = Diary(10, 1, 0)
    diary.roll_out(0, terminates=False)
    with pytest.raises(ValueError, match="without transitions"):
        diary.replay.sample(1, diary.rng)


@pytest.mark.parametrize("num_episodes", [3, 12])  # before and after the ring is full
def test_a_restored_buffer_goes_on_like_the_original(num_episodes):
    original = Diary(40, 3, 0)
    for _ in range(num_episodes):
        original.roll_out(5, terminates=False)
    restored = Diary(40, 3, 0)
    restored.replay.load_state_dict(original.replay.state_dict())
    restored.rewards = [list(rewards) for rewards in original.rewards]
    restored.terminated = list(original.terminated)
    for diary in (original, restored):
        diary.rng = np.random.default_rng(1)
        diary.roll_out(5, terminates=True)
    drawn = [diary.replay.sample(64, diary.rng) for diary in (original, restored)]
    for name in ("actions", "returns", "discounts"):
        assert getattr(drawn[0], name).equal(getattr(drawn[1], name))
    for key in SPACE.spaces:
        assert drawn[0].next_observations[key].equal(drawn[1].next_observations[key])


def test_bytes_a_slot_are_those_of_its_arrays():
    space = Dict({"a": Box(-1, 1, (3,), np.float32), "image": Box(0, 255, (4, 4, 3), np.uint8)})
    buffer = ReplayBuffer(10, space, 7, 1, 0.9)
    arrays = [
        *buffer._observations.values(), buffer._actions, buffer._rewards, buffer._discounts,
        buffer._has_action,
    ]  # fmt: skip
    assert sum(array.nbytes for array in arrays) == 10 * ReplayBuffer.bytes_a_slot(space, 7)
