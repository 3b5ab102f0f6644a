"""Environments in processes live what they would live in this one, and nobody is left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from gymnasium.spaces import Dict

from parrot_data.env_processes import EnvProcesses
from parrot_data.errors import UserError
from parrot_data.lockstep import OneEnv
from parrot_data.worlds.tabletop.env import ACTION_DIM, make_task_env
from parrot_data.worlds.tabletop.params import EnvironmentParams

PARAMS = EnvironmentParams(image_size=16, proprioception=True, episode_steps=3)
MAKE_ENV = partial(make_task_env, "pick-bar", PARAMS, render_mode=None)
ORPHANS = """
import os, sys
from tests.parrot_data.test_lockstep import processes
envs = processes(2)
envs.reset(0, [0, 1])
print(*(process.pid for process in envs._crew.values()), flush=True)
os.kill(os.getpid(), 9)
"""


def space() -> Dict:
    env = MAKE_ENV()
    assert isinstance(env.observation_space, Dict)
    env.close()
    return env.observation_space


def processes(num_envs: int) -> EnvProcesses:
    return EnvProcesses(MAKE_ENV, num_envs, space(), ACTION_DIM)


def actions(num_envs: int, step: int) -> np.ndarray:
    rng = np.random.default_rng(step)
    return rng.uniform(-1, 1, (num_envs, ACTION_DIM)).astype(np.float32)


def test_each_lives_the_episode_it_would_live_alone() -> None:
    env = MAKE_ENV()
    alone = OneEnv(env)
    with processes(2) as together:
        for indices in ((0, 1), (2, 3)):
            first = together.reset(7, indices)
            steps = []
            for step in range(PARAMS.episode_steps):
                together.start_step(actions(2, step), np.ones(2, bool))
                steps.append(together.finish_step())
            for row, index in enumerate(indices):
                start = alone.reset(7, [index])
                assert all(np.array_equal(start[key][0], first[key][row]) for key in start)
                for step, outcome in enumerate(steps):
                    alone.start_step(actions(2, step)[row : row + 1], np.ones(1, bool))
                    expected = alone.finish_step()
                    for key, value in expected.observations.items():
                        assert np.array_equal(value[0], outcome.observations[key][row])
                    for name in ("rewards", "terminated", "truncated", "is_success"):
                        assert getattr(expected, name)[0] == getattr(outcome, name)[row]
            assert steps[-1].truncated.all()
    env.close()
    assert not multiprocessing.active_children()


def test_who_takes_no_part_stays_where_it_is() -> None:
    with processes(2) as envs:
        first = envs.reset(0, [0, 1])
        envs.start_step(actions(2, 0), np.array([True, False]))
        after = envs.finish_step().observations
    moved = [
        not np.array_equal(after["proprioception"][k], first["proprioception"][k]) for k in (0, 1)
    ]
    assert moved == [True, False]


def test_a_killed_environment_is_told_of_in_one_sentence() -> None:
    with processes(2) as envs:
        envs.reset(0, [0, 1])
        victim = list(envs._crew.values())[1]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        with pytest.raises(UserError, match="exit code -9"):
            envs.start_step(actions(2, 0), np.ones(2, bool))
    assert not multiprocessing.active_children()


def test_an_environment_that_cannot_be_made_says_why() -> None:
    make_env = partial(make_task_env, "pick-none", PARAMS)
    envs = EnvProcesses(make_env, 2, space(), ACTION_DIM)
    with envs, pytest.raises(UserError, match="pick-none"):
        envs.reset(0, [0, 1])
    assert not multiprocessing.active_children()


def test_environments_end_with_a_parent_that_is_killed() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", ORPHANS],
        cwd=root, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    for _ in range(1000):  # until they are gone; the test's own limit is the last resort
        if not any(Path(f"/proc/{pid}/stat").exists() for pid in pids):
            return
        time.sleep(0.01)
    raise AssertionError(f"still there: {pids}")
