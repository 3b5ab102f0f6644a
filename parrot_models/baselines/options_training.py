"""How options are discovered in demonstrations, and what they are judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parrot_data.progress import Progress
from parrot_data.streams import generator
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines.episodes import EpisodeBatches, augment_episodes
from parrot_models.baselines.option_bound import bound_parts, option_loss
from parrot_models.baselines.option_rollouts import random_options_policy, reproduction
from parrot_models.baselines.options_model import OptionArchitecture, OptionModel
from parrot_models.baselines.params import OptionParams
from parrot_models.baselines.pretraining import Pretraining, schedule_of
from parrot_models.judging.rollouts import FAMILIES, rollout_metrics
from parrot_models.networks.chance import torch_generator
from parrot_models.training.augment import backdrop_of
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.fitting import fit
from parrot_models.training.history import curve_log

NUM_INIT = 4096  # transitions that initialise the mean picture and the posterior's scales
NUM_LOGGED = 256  # training episodes, for the curve
KL_WARMUP_FRACTION = 0.5  # a policy that learned to act without z first would never need it
COLUMNS = (
    "train_bound_per_dim", "validation_bound_per_dim", "validation_log_prob_per_dim",
    "validation_options_per_episode",
)  # fmt: skip


def make_options(params: OptionParams, environment: EnvironmentParams) -> OptionModel:
    """The model that these params ask for, with freshly drawn weights."""
    architecture = OptionArchitecture(
        **params.shapes(environment),
        latent_dim=params.latent_dim,
        posterior_width=params.posterior_width,
    )
    return OptionModel(architecture)


def fit_options(
    params: OptionParams,
    model: OptionModel,
    batches: TransitionBatches,
    work: Path,
    progress: Progress,
) -> None:
    """Raise the bound of `options`; its curve goes to `work / history.csv`."""
    episodes = EpisodeBatches(batches)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = batches.sample(NUM_INIT, generator(params.seed, "options: first batch"))
    model.init_from_data(some.images)
    model.posterior.init_from_data(some.proprioception, some.actions)
    backdrop = backdrop_of(some.images)
    rng = generator(params.seed, "options: logged")
    logged = episodes.sample(NUM_LOGGED, params.pictures_per_episode, rng)

    def measure() -> list[float]:
        held_out = episodes.held_out(params.batch_size)
        unseen = bound_parts(model, held_out, params.seed, params.precision)
        seen = bound_parts(model, [logged], params.seed, params.precision)
        of_unseen = [unseen[n] for n in ("bound_per_dim", "log_prob_per_dim")]
        return [seen["bound_per_dim"], *of_unseen, unseen["options_per_episode"]]

    curve = work / "history.csv"
    log = curve_log(curve, COLUMNS, measure)

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"options, bound {-loss:.3f} a dimension")
        if params.is_logged(step + 1):
            log(step + 1)

    def loss_at(step: int) -> Tensor:
        return _loss_at(params, model, episodes, backdrop, step)

    checkpoint = work / "options.checkpoint"
    weights = list(model.parameters())
    fit(model, weights, loss_at, schedule_of(params), checkpoint, after_step, curve)


def _loss_at(
    params: OptionParams, model: OptionModel, episodes: EpisodeBatches, backdrop: Tensor, step: int
) -> Tensor:
    rng = generator(params.seed, "options: step", step)
    batch = episodes.sample(params.batch_size, params.pictures_per_episode, rng)
    if params.augment:
        batch = augment_episodes(batch, rng, backdrop)
    warmth = min(1.0, (step + 1) / (KL_WARMUP_FRACTION * params.steps))
    return option_loss(
        model,
        batch,
        torch.Generator().manual_seed(int(rng.integers(2**62))),
        kl_weight=params.kl_weight * warmth,
        option_steps=params.option_steps,
        precision=params.precision,
    )


def judge_options(
    params: OptionParams,
    model: OptionModel,
    batches: TransitionBatches,
    environment: EnvironmentParams,
    _work: Path,
    progress: Progress,
) -> dict[str, Any]:
    """The bound on held-out episodes; demonstrations reproduced, and rollouts of random options.

    Of the bound, `bound_parts`; of each family, `reproduction` under its name, and rates of
    rollouts under the names that a prior's have.
    """
    held_out = EpisodeBatches(batches).held_out(params.batch_size)
    metrics: dict[str, Any] = bound_parts(model, held_out, params.seed, "fp32")
    for part, family in enumerate(FAMILIES, start=1):
        progress(part, 4, f"demonstrations, {family}")
        seed, count = params.rollout_seed, params.demonstrations
        found = reproduction(model, environment, family, seed, count)
        metrics |= {f"{family}_{name}": value for name, value in found.items()}

    def make_policy() -> Any:
        chance = torch_generator(params.rollout_seed, "options: rollouts")
        return random_options_policy(model, environment.episode_steps, chance)

    return metrics | rollout_metrics(
        environment,
        {"rollout": make_policy},
        params.rollout_seed,
        params.rollout_episodes,
        lambda part, family: progress(2 + part, 4, f"rollouts, {family}"),
    )


OPTIONS = Pretraining(
    make=make_options,
    fit=fit_options,
    judge=judge_options,
    card="Options of a tabletop arm: a policy over 7-D actions given what it sees and a latent "
    "option z, and when the option ends. Discovered in successful scripted episodes by temporal "
    "variational inference (Shankar and Gupta 2020).",
)
