"""Environments in processes do what they would do in this one, and nobody is left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Dict

from parrot_data.errors import UserError
from parrot_data.lockstep import EnvProcesses, OneEnv
from parrot_data.worlds.make import make_task_env
from parrot_data.worlds.params import OwnWorldParams
from tests.toy_world import SPEED, ReachEnv

DIM = 3
TOY = OwnWorldParams(
    name="tests.toy_world:make_world",
    kwargs={"action_dim": DIM, "images": {"camera": [12, 16]}, "max_steps": 20},
)
MAKE_ENV = partial(make_task_env, TOY, "reach-near")
ORPHANS = """
import os, signal
from tests.parrot_data.test_lockstep import processes
envs = processes(2)
envs.reset([0, 1])
print(*(process.pid for process in envs._envs.processes), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
INTERRUPTED = """
import os, signal
import numpy as np
from tests.parrot_data.test_lockstep import actions, processes
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with processes(2) as envs:
    envs.reset([0, 1])
    for signum in (signal.SIGINT, signal.SIGTERM):
        os.killpg(0, signum)
    envs.start_step(actions(2, 0))
    print("still there:", envs.finish_step().rewards.shape, flush=True)
"""


class FailingEnv(ReachEnv):
    """Fails in its second step, with what a format string would stumble over."""

    def __init__(self, error: Exception, is_mute: bool = False) -> None:
        super().__init__(action_dim=DIM)
        self._error, self._is_mute, self._num_steps = error, is_mute, 0

    def step(self, action: Any) -> Any:
        self._num_steps += 1
        if self._num_steps == 2:
            raise self._error
        *step, info = super().step(action)
        return *step, {} if self._is_mute else info


class OddError(Exception):
    """No process can send it to another, nor make it of its text."""

    def __init__(self, a: Any, b: Any) -> None:
        super().__init__("100 % odd")
        self.held = lambda: (a, b)


def make_failing(kind: str) -> gymnasium.Env[Any, Any]:
    error = UserError("the robot is unplugged") if kind == "user" else OddError(1, 2)
    return FailingEnv(error, is_mute=kind == "mute")


def make_none() -> gymnasium.Env[Any, Any]:
    raise UserError("there is no robot")


def processes(num_envs: int, make_env: Any = MAKE_ENV, like: Any = MAKE_ENV) -> EnvProcesses:
    env = like()
    space = env.observation_space
    assert isinstance(space, Dict)
    return EnvProcesses(make_env, num_envs, space, env.action_space)


def actions(num_envs: int, step: int) -> np.ndarray:
    rng = np.random.default_rng(step)
    return rng.uniform(-1, 1, (num_envs, DIM)).astype(np.float32)


def step(envs: EnvProcesses, number: int) -> None:
    envs.start_step(actions(2, number))
    envs.finish_step()


def step_twice(envs: EnvProcesses) -> None:
    step(envs, 0)
    step(envs, 1)


def test_each_has_the_episode_it_would_have_alone() -> None:
    alone = OneEnv(MAKE_ENV())
    with processes(2) as together:
        for seeds in ((0, 1), (2, 3)):
            first = together.reset(seeds)
            steps = []
            for step in range(8):
                together.start_step(actions(2, step))
                steps.append(together.finish_step())
            for row, seed in enumerate(seeds):
                start = alone.reset([seed])
                assert all(np.array_equal(start[key][0], first[key][row]) for key in start)
                for step, outcome in enumerate(steps):
                    alone.start_step(actions(2, step)[row : row + 1])
                    expected = alone.finish_step()
                    for key, value in expected.observations.items():
                        assert np.array_equal(value[0], outcome.observations[key][row])
                    for name in ("rewards", "terminated", "truncated", "is_success"):
                        assert getattr(expected, name)[0] == getattr(outcome, name)[row]
                    if expected.terminated[0]:
                        break
    assert not multiprocessing.active_children()


def test_one_that_is_over_stays_where_it_is_until_the_next_reset() -> None:
    with processes(2) as envs:
        seen = envs.reset([5, 6])
        ended: dict[int, Any] = {}
        for _ in range(20):
            wanted = ((seen["goal"] - seen["position"]) / SPEED).clip(-1, 1).astype(np.float32)
            wanted[1] *= -1  # away
            envs.start_step(wanted)
            outcome = envs.finish_step()
            seen = outcome.observations
            if 0 in ended:
                assert np.array_equal(seen["position"][0], ended[0])
                assert outcome.rewards[0] == 0.0
                assert outcome.is_success[0]
                assert outcome.terminated[0]
            elif outcome.terminated[0]:
                assert outcome.rewards[0] == 1.0
                ended[0] = seen["position"][0].copy()
        assert ended
        assert outcome.truncated.tolist() == [False, True]
        again = envs.reset([5, 6])
        assert not np.array_equal(again["position"][0], ended[0])


def test_what_was_observed_is_not_overwritten_by_the_next_step() -> None:
    with processes(2) as envs:
        first = envs.reset([0, 1])
        kept = {key: values.copy() for key, values in first.items()}
        envs.start_step(actions(2, 0))
        envs.finish_step()
    assert all(np.array_equal(first[key], kept[key]) for key in kept)


def test_a_killed_environment_is_an_error_of_one_sentence() -> None:
    with processes(2) as envs:
        envs.reset([0, 1])
        victim = envs._envs.processes[1]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        with pytest.raises(UserError, match="exit code -9"):
            step(envs, 0)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("user", UserError, "the robot is unplugged"),
        ("odd", RuntimeError, r"test_lockstep\.py(.|\n)*100 % odd"),
        ("mute", UserError, "does not say whether a task is achieved"),
    ],
)
def test_an_error_in_an_environment_is_one_here(
    kind: str, error: type[Exception], words: str
) -> None:
    make_env = partial(make_failing, kind)
    with processes(2, make_env, make_env) as envs:
        envs.reset([0, 1])
        with pytest.raises(error, match=words):
            step_twice(envs)
    assert not multiprocessing.active_children()


def test_an_environment_that_cannot_be_made_says_why() -> None:
    with processes(2, make_none) as envs, pytest.raises(UserError, match="there is no robot"):
        envs.reset([0, 1])
    assert not multiprocessing.active_children()


def run(script: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=root, capture_output=True, text=True, check=False, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip


def test_environments_end_quietly_with_a_parent_that_is_killed() -> None:
    done = run(ORPHANS)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "Traceback" not in done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    for _ in range(1000):  # until they are gone; the test's own limit is the last resort
        if not any(Path(f"/proc/{pid}/stat").exists() for pid in pids):
            return
        time.sleep(0.01)
    raise AssertionError(f"still there: {pids}")


def test_signals_that_ask_to_end_are_left_to_the_parent() -> None:
    done = run(INTERRUPTED)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "still there: (2,)\n"
    assert done.stderr == ""
