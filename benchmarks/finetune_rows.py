"""Fine-tuning as a whole: how long 100,000 steps take, and how much memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from time import process_time
from types import MappingProxyType

import torch

from benchmarks.agents import WARMUP_EPISODES, fill, make_learner
from benchmarks.own_process import in_own_process
from benchmarks.row import Figures, Row, at_most, at_most_itself
from benchmarks.setting import Setting, Values
from benchmarks.timing import interleaved
from parrot_models.rl.learner import Learner
from parrot_models.rl.params import Observe

NUM_STEPS = 100_000
SEEN: Mapping[Observe, str] = MappingProxyType(
    {"features": "cached features", "image": "an encoder trained end to end"}
)
MOST_MINUTES: Mapping[Observe, float] = MappingProxyType({"features": 30.0, "image": 120.0})


def minutes_of_a_run(setting: Setting, *, observe: Observe) -> Figures:
    """Minutes of one core for 100,000 env steps with one update each, extrapolated."""
    scale, values = setting.scale, setting.values
    learner, env = make_learner(values, observe, NUM_STEPS)
    fill(learner, env, scale.replay_slots)
    for _ in range(WARMUP_EPISODES + 1):  # the first that learns is warmer than the others
        learner.run_round()
    (seconds,) = interleaved(
        [learner.run_round], [scale.learning_episodes], scale.rounds, process_time
    )
    env.close()
    step_s = seconds / values.tabletop.episode_steps
    note = (
        f"Extrapolated from {scale.rounds * scale.learning_episodes} episodes after the warm-up: "
        f"{1e3 * step_s:.1f} ms a step, with {SEEN[observe]}, batch {values.finetune.batch_size}, "
        "update-to-data 1. The prior is untrained: its weights cost what trained ones cost, though "
        "an arm that grasps costs the simulator more than one that does not."
    )
    return Figures(step_s * NUM_STEPS / 60, None, note)


def memory_of_a_run(setting: Setting, *, observe: Observe) -> Figures:
    """Peak memory of a process that fine-tunes, and size of its replay buffer, GB."""
    steps = setting.scale.buffer_steps
    usage = in_own_process(_run_with_full_buffer, setting.values, observe, steps)
    note = (
        f"A process with a buffer of {steps:,} env steps ({SEEN[observe]}), filled by repeating "
        "one episode; then two episodes of learning and a checkpoint, as in the stage. The peak "
        "holds the interpreter, torch and the simulator too."
    )
    return Figures(usage.peak_gb, usage.result, note)


def _run_with_full_buffer(values: Values, observe: Observe, num_steps: int) -> float:
    """GB of the replay buffer; the learning on it is done by then."""
    learner, env = make_learner(values, observe, num_steps)
    fill(learner, env, learner.replay.capacity)
    for _ in range(WARMUP_EPISODES + 2):
        learner.run_round()
    torch.save({"learner": learner.state_dict()}, os.devnull)
    return _size_of_replay(learner) / 1e9


def _size_of_replay(learner: Learner) -> int:
    arrays = learner.replay.state_dict()["arrays"].values()
    return sum(array.numel() * array.element_size() for array in arrays)


ROWS = (
    *(
        Row(
            f"100k env steps of PARROT, update-to-data 1, {SEEN[observe]}",
            "",
            "minutes/core",
            (at_most_itself(minutes),),
            partial(minutes_of_a_run, observe=observe),
        )
        for observe, minutes in MOST_MINUTES.items()
    ),
    *(
        Row(
            f"memory of a 100k-step fine-tune, {SEEN[observe]}",
            "its replay buffer",
            "GB",
            (at_most(1.5, allowance=1.0),),
            partial(memory_of_a_run, observe=observe),
        )
        for observe in SEEN
    ),
)
