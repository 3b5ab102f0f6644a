"""Policies act as what they are made of says, and draw from an episode's own chance alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_models import small_model
from small_priors import small_prior
from torch import Tensor

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.rollout import SelectAction
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.streams import generator
from parrot_models.judging import policies
from parrot_models.judging.policies import Policy
from parrot_models.networks.device import CPU
from tests.specs import SPECS, TWO_IMAGES, VECTORS_ALONE, some_actions, some_observations

OBSERVATION = {"state": np.zeros(2, np.float32)}


class FakeOptions:
    """Acts as z says, and ends with a given probability."""

    latent_dim, device = 7, CPU

    def __init__(self, end: float) -> None:
        self.end = end

    def context(self, _observations: dict[str, Tensor]) -> Tensor:
        return torch.zeros(1, 1)

    def act(self, z: Tensor, _context: Tensor) -> Tensor:
        return z

    def ends(self, z: Tensor, _context: Tensor) -> Tensor:
        return torch.full((len(z),), self.end)


class FakeTrajectories(FakeOptions):
    """Decodes z into itself, three times over."""

    num_steps = 3

    def decode(self, z: Tensor, _context: Tensor) -> Tensor:
        return z[:, None].repeat(1, self.num_steps, 1)


def begun(policy: Policy, index: int = 0) -> SelectAction:
    return policy(None, generator(0, "test: policies", index))  # type: ignore[arg-type]


def actions_of(policy: Policy, num_steps: int, index: int = 0) -> list[tuple[float, ...]]:
    select_action = begun(policy, index)
    return [tuple(select_action(OBSERVATION).tolist()) for _ in range(num_steps)]


def observation_of(spec: EpisodeSpec) -> dict[str, np.ndarray]:
    return {name: values[0].numpy() for name, values in some_observations(spec, 1).items()}


def episode_of(spec: EpisodeSpec, num_steps: int) -> Episode:
    seen = {name: v.numpy() for name, v in some_observations(spec, num_steps + 1).items()}
    rewards = np.zeros(num_steps, np.float32)
    actions = some_actions(spec, num_steps).numpy()
    return Episode(0, "reach", True, "", False, seen, actions, rewards)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_priors_and_clones_act_on_observations_of_any_spec(spec: EpisodeSpec) -> None:
    observation = observation_of(spec)
    prior, clone = small_prior(spec), small_model("bc", spec)
    for policy in (
        policies.sampling(prior),
        policies.sampling(clone),
        policies.most_likely_latent(prior),
        policies.bounded_latents(prior, 0.5),
    ):
        first, again, other = (begun(policy, index)(observation) for index in (0, 0, 1))
        assert first.shape == (spec.action.dim,)
        assert first.dtype == np.float32
        assert np.array_equal(first, again)
        is_certain = policy(None, generator(0, "test: policies"))(observation)  # type: ignore[arg-type]
        assert np.isfinite(is_certain).all()
        assert np.isfinite(other).all()


def test_only_the_likeliest_latent_needs_no_chance() -> None:
    observation, prior = observation_of(VECTORS_ALONE), small_prior(VECTORS_ALONE)
    at_mode = policies.most_likely_latent(prior)
    assert np.array_equal(begun(at_mode, 0)(observation), begun(at_mode, 1)(observation))
    sampled = policies.sampling(prior)
    assert not np.array_equal(begun(sampled, 0)(observation), begun(sampled, 1)(observation))


def test_uniform_actions_fill_their_box() -> None:
    box = (np.array([-1.0, 5.0], np.float32), np.array([0.0, 9.0], np.float32))
    actions = np.array(actions_of(policies.uniform(box), 500))
    assert (actions >= box[0]).all()
    assert (actions <= box[1]).all()
    assert np.ptp(actions, axis=0) == pytest.approx([1.0, 4.0], rel=0.05)


@pytest.mark.parametrize("bound", [0.5, 2.0])
def test_latents_within_a_bound_are_normal_there(bound: float) -> None:
    chance = torch.Generator().manual_seed(0)
    z = torch.cat([policies.truncated_normal(bound, 1000, chance) for _ in range(5)])
    assert z.abs().max() <= bound
    normal = torch.randn(200_000, generator=chance)
    wanted = normal[normal.abs() <= bound].std()
    assert z.std() == pytest.approx(float(wanted), rel=0.05)


def test_an_option_that_does_not_end_lasts_for_an_episode() -> None:
    policy = policies.random_options(FakeOptions(0.0))  # type: ignore[arg-type]
    assert len(set(actions_of(policy, 9))) == 1
    assert actions_of(policy, 1, index=1) != actions_of(policy, 1)


def test_an_option_that_ends_makes_way_for_another() -> None:
    always, sometimes = (policies.random_options(FakeOptions(p)) for p in (1.0, 0.5))  # type: ignore[arg-type]
    assert len(set(actions_of(always, 9))) == 9
    assert 1 < len(set(actions_of(sometimes, 15))) < 15


def test_a_trajectory_is_executed_before_the_next_is_drawn() -> None:
    policy = policies.random_trajectories(FakeTrajectories(0.0))  # type: ignore[arg-type]
    actions = actions_of(policy, 7)
    assert [actions.index(action) for action in actions] == [0, 0, 0, 3, 3, 3, 6]


@pytest.mark.parametrize("num_steps", [1, 4, 6])
@pytest.mark.parametrize("spec", [VECTORS_ALONE, TWO_IMAGES], ids=["vectors", "images"])
def test_a_demonstration_has_a_latent_for_all_that_it_does(
    spec: EpisodeSpec, num_steps: int
) -> None:
    episode = episode_of(spec, num_steps)
    trajectories, options = (small_model(kind, spec) for kind in ("trajectories", "options"))
    latents = policies.encoded_trajectories(trajectories, episode)
    assert latents.shape == (-(-num_steps // trajectories.num_steps), trajectories.latent_dim)
    assert policies.likeliest_options(options, episode).shape == (num_steps, options.latent_dim)


@pytest.mark.parametrize("kind", ["trajectories", "options"])
def test_a_demonstration_is_repeated_for_longer_than_it_was(kind: str) -> None:
    repeat: Any = getattr(policies, f"repeated_{kind}")
    select_action = repeat(small_model(kind, VECTORS_ALONE), episode_of(VECTORS_ALONE, 2))
    actions = [select_action(observation_of(VECTORS_ALONE)) for _ in range(9)]
    assert np.isfinite(actions).all()
