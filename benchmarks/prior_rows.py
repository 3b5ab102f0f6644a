"""The whole prior, images included: acting with it, and training it."""

from __future__ import annotations

from functools import partial

from benchmarks.agents import still_env_and_agent
from benchmarks.priors import prior_in_training, some_batch, training_step, untrained_prior
from benchmarks.row import Figures, Row, at_least
from benchmarks.setting import Setting
from parrot_models.training.likelihood import negative_log_likelihood


def acting_against_nflows(setting: Setting) -> Figures:
    """Actions/s of an agent in the prior's latent space."""
    from benchmarks.rivals.nflows_prior import NflowsActing

    env, agent, prior = still_env_and_agent(setting.values)
    rival = NflowsActing(prior, agent)
    observation, _ = env.reset()
    raw = env.unwrapped.reset()[0]
    ours, theirs = setting.cpu_seconds(
        lambda: env.step(agent.act(observation, deterministic=False)), lambda: rival.act(raw)
    )
    note = (
        f"{1e3 * ours:.2f} against {1e3 * theirs:.2f} ms: encoding an image for agent and flow, "
        "drawing z from the actor, decoding it. Ours is what fine-tuning calls (ViewedEnv and SAC, "
        "the simulation left out), the rival the same networks called one by one."
    )
    return Figures(1 / ours, 1 / theirs, note)


def training_against_nflows(setting: Setting, *, batch_size: int) -> Figures:
    """Training steps/s of encoder and flow together."""
    from benchmarks.rivals.nflows_prior import NflowsPrior

    params = setting.values.train_prior
    prior, batch = prior_in_training(setting.values), some_batch(setting.values, batch_size)
    rival = NflowsPrior(untrained_prior(setting.values))
    ours, theirs = setting.cpu_seconds(
        training_step(
            prior.parameters(),
            lambda: negative_log_likelihood(prior, batch, params.precision),
            params.learning_rate,
        ),
        training_step(rival.parameters(), lambda: rival.loss(batch), params.learning_rate),
    )
    note = (
        f"{1e3 * ours:.1f} against {1e3 * theirs:.1f} ms; encoder {params.encoder.kind}, ours in "
        f"{params.precision} as train_prior has it, the optimiser's step in both."
    )
    return Figures(1 / ours, 1 / theirs, note)


ROWS = (
    Row(
        "acting (encode, actor, flow), batch 1",
        "plain eager with nflows",
        "actions/s/core",
        (at_least(3.0),),
        acting_against_nflows,
    ),
    *(
        Row(
            f"prior training step with encoder, batch {batch_size}",
            "same encoder and nflows, eager fp32",
            "steps/s/core",
            (at_least(least),),
            partial(training_against_nflows, batch_size=batch_size),
        )
        for batch_size, least in ((256, 2.0), (1024, 2.7))
    ),
)
