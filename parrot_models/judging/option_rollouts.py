"""Options acted out: those of a demonstration in its own scene, and random ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.rollout import collect_episode
from parrot_data.streams import generator
from parrot_data.worlds.tabletop.env import Observation, TabletopEnv
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.scripts.collect import Collector, draw_random_task
from parrot_models.baselines.option_posterior import Segmentation
from parrot_models.baselines.options_model import OptionModel
from parrot_models.judging.rollouts import NUM_OBJECTS, SelectAction, observed
from parrot_models.networks.device import CPU

ACTION_NOISE = 0.1  # of the demonstrations


def reproduction(
    model: OptionModel, environment: EnvironmentParams, family: str, seed: int, num_scenes: int
) -> dict[str, float]:
    """Encode scripted demonstrations, then act out their options in the same scenes.

    An option begins at the step at which the posterior found it to begin; its actions are the
    low-level policy's, which sees the scene as it has become. Scenes hold objects that were never
    trained on.

    Returns:
        demonstration_success_rate: share of the scenes in which the script succeeded.
        reproduction_rate: share of those in which its options, acted out, succeeded too.
        options: mean number of options of the demonstrations that succeeded.

    Raises:
        UserError: a scene could not be laid out.
    """
    weights, counts = {family: 1.0}, [NUM_OBJECTS, NUM_OBJECTS]
    collector = Collector(environment, weights, counts, ACTION_NOISE, seed, "test")
    env = TabletopEnv(environment, lambda rng: draw_random_task(rng, weights, counts, "test"))
    reproduced, lengths = [], []
    for index in range(num_scenes):
        demonstration = collector.collect(index)
        if demonstration.success:
            found = likeliest_options(model, demonstration)
            chance = generator(seed, "options: acted out", index)
            script = _acting_out(model, found.latents[0])
            again = collect_episode(env, script, seed, index, chance)
            reproduced.append(again.success)
            lengths.append(float(found.boundaries.sum()))
    collector.close()
    env.close()
    return {
        "demonstration_success_rate": len(reproduced) / num_scenes,
        "reproduction_rate": sum(reproduced) / max(1, len(reproduced)),
        "options": sum(lengths) / max(1, len(lengths)),
    }


@torch.inference_mode()
def likeliest_options(model: OptionModel, episode: Episode) -> Segmentation:
    """The options of one episode, a batch of one: the posterior's likelier b, the mean of z."""
    proprioception = torch.from_numpy(episode.proprioception[None, :-1])
    found: Segmentation = model.posterior(
        proprioception, torch.from_numpy(episode.actions[None]), None
    )
    return found


def _acting_out(
    model: OptionModel, latents: Tensor
) -> Callable[[TabletopEnv, np.random.Generator], SelectAction]:
    """Policies of one episode that take z of every step from latents (T, L)."""

    def make_policy(_env: TabletopEnv, _rng: np.random.Generator) -> SelectAction:
        steps: Iterator[Tensor] = iter(latents)

        @torch.inference_mode()
        def select_action(observation: Observation) -> NDArray[np.float32]:
            context = model.context(*observed(observation, CPU))
            return model.act(next(steps)[None], context)[0].numpy()

        return select_action

    return make_policy


def random_options_policy(
    model: OptionModel, episode_steps: int, generator: torch.Generator
) -> SelectAction:
    """Act out options z ~ N(0, I), each until it ends by the model's own probability.

    Args:
        model: frozen.
        episode_steps: observations after which another episode has begun, and with it an option.
        generator: draws options, and whether they end.
    """
    z, num_steps = torch.empty(1, model.latent_dim), 0

    @torch.inference_mode()
    def select_action(observation: Observation) -> NDArray[np.float32]:
        nonlocal z, num_steps
        context = model.context(*observed(observation, CPU))
        is_first = num_steps % episode_steps == 0
        num_steps += 1
        if is_first or bool(torch.rand(1, generator=generator) < model.ends(z, context)):
            z = torch.randn(1, model.latent_dim, generator=generator)
        return model.act(z, context)[0].numpy()

    return select_action
