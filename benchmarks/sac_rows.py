"""An update of SAC against stable-baselines3's, the draw of its batch included in both."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.agents import fill, make_learner
from benchmarks.row import Figures, Row, at_least
from benchmarks.setting import Setting
from parrot_models.rl.params import Observe

BATCH_SIZE = 256


def updates_against_sb3(setting: Setting, *, observe: Observe) -> Figures:
    """Updates/s of critics, actor, temperature and targets."""
    from benchmarks.rivals.sb3_sac import sb3_agent

    values, num_steps = setting.values, setting.scale.replay_slots
    action_dim = values.spec.action.dim
    rival = sb3_agent(values.tabletop.image_size, action_dim, num_steps, BATCH_SIZE)
    learner, env = make_learner(values, observe, num_steps)
    rng = np.random.default_rng(0)
    fill(learner, env, num_steps)
    agent, replay = learner.agent, learner.replay
    ours, theirs = setting.cpu_seconds(
        lambda: agent.update(replay.sample(BATCH_SIZE, rng)),
        lambda: rival.train(gradient_steps=1, batch_size=BATCH_SIZE),
    )
    env.close()
    seen = (
        "features that the frozen prior made once, when an image arrived"
        if observe == "features"
        else f"images through the encoder {values.finetune.agent.encoder}, trained end to end"
    )
    note = (
        f"{1e3 * ours:.1f} against {1e3 * theirs:.1f} ms; batch {BATCH_SIZE}, {seen}; "
        f"{values.finetune.agent.precision}, {values.finetune.n_step}-step returns; the rival is "
        "SAC with CnnPolicy and its defaults."
    )
    return Figures(1 / ours, 1 / theirs, note)


ROWS = (
    Row(
        "SAC update, pixels, batch 256",
        "stable-baselines3 SAC, CnnPolicy",
        "updates/s/core",
        (at_least(3.0),),
        partial(updates_against_sb3, observe="image"),
    ),
    Row(
        "SAC update, frozen encoder with cached features",
        "stable-baselines3 SAC, CnnPolicy",
        "updates/s/core",
        (at_least(13.0),),
        partial(updates_against_sb3, observe="features"),
    ),
)
