"""Measures of demonstrations, on latents and on actions whose measures are known."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chi2
from small_priors import FLOWS, small_prior

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.progress import silent
from parrot_data.stores.entries import EpisodeEntry
from parrot_models.auditing.figure import audit_figure
from parrot_models.auditing.measures import (
    Inverted,
    check_finite,
    invert,
    least_likely,
    measures,
    measures_by_task,
    shares_within,
)
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.training.transitions import Transitions
from tests.specs import SPECS, some_observations

BOUND = 1.5
LENGTHS = (40, 1, 259)  # more steps than one batch has
EXACT = ("affine", "spline")


def chance() -> np.random.Generator:
    return np.random.default_rng(0)


def entries(lengths: tuple[int, ...] = LENGTHS) -> list[EpisodeEntry]:
    return [
        EpisodeEntry(10 * place, f"task {place}", True, "", False, steps, {}, "0" * 64)
        for place, steps in enumerate(lengths)
    ]


def made_by(prior: BehavioralPrior, spec: EpisodeSpec, z: torch.Tensor) -> Transitions:
    """Demonstrations whose actions are f(z; s)."""
    observations = some_observations(spec, len(z))
    with torch.inference_mode():
        actions = prior.decode(z, prior.context(observations))
    return Transitions(
        observations={name: values.numpy() for name, values in observations.items()},
        actions=actions.numpy(),
        episodes=np.repeat(np.arange(len(LENGTHS), dtype=np.int32), LENGTHS),
    )


def drawn(spec: EpisodeSpec) -> torch.Tensor:
    chance = torch.Generator().manual_seed(0)
    box = 2 * torch.rand(sum(LENGTHS), spec.action.dim, generator=chance) - 1
    return 0.999 * BOUND * box


def inverted(latents: np.ndarray, log_probs: np.ndarray | None = None) -> Inverted:
    """All of one episode."""
    num = len(latents)
    zeros = np.zeros(num, np.int64)
    log_probs = np.zeros(num) if log_probs is None else log_probs
    return Inverted(
        latents, log_probs, np.zeros(num), zeros, np.arange(num), 2.0 * latents, np.ones(num)
    )


def of_episodes(latents: np.ndarray, lengths: Sequence[int]) -> Inverted:
    """Of several episodes, one after the other, each step as likely as its z is small."""
    episodes = np.repeat(np.arange(len(lengths)), lengths)
    steps = np.concatenate([np.arange(length) for length in lengths])
    largest = np.abs(latents).max(1)
    nothing = np.zeros(len(latents))
    return Inverted(latents, -largest, nothing, episodes, steps, 2.0 * latents, nothing)


def measured(found: Inverted, of: list[EpisodeEntry]) -> dict[str, Any]:
    """Metrics of an audit without rollouts."""
    told = (found, of, [1.0, 2.0], 3)
    return {**measures(*told), "tasks": measures_by_task(*told)}


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("flow", EXACT)
def test_latents_within_a_bound_are_found_within(name: str, flow: str) -> None:
    prior, z = small_prior(SPECS[name], flow), drawn(SPECS[name])
    found = invert(prior, made_by(prior, SPECS[name], z), chance(), silent)
    np.testing.assert_allclose(found.latents, z, atol=1e-3)
    assert found.restored_error.max() < 1e-3
    shares = shares_within(found.latents, BOUND)
    assert shares["all"] == 1.0
    assert shares["by_dimension"] == [1.0] * SPECS[name].action.dim
    assert shares_within(found.latents, 0.01)["all"] < 0.1


@pytest.mark.parametrize("name", SPECS)
def test_uniform_actions_are_inverted_where_the_demonstrated_ones_were(name: str) -> None:
    prior, spec = small_prior(SPECS[name], "affine"), SPECS[name]
    transitions = made_by(prior, spec, drawn(spec))
    found = invert(prior, transitions, chance(), silent)
    seen = {key: torch.from_numpy(value) for key, value in transitions.observations.items()}
    z = torch.from_numpy(found.uniform_latents).float()
    low, high = prior.action_scale.box_arrays()
    with torch.inference_mode():
        actions = prior.decode(z, prior.context(seen)).numpy()
    places = (actions - low) / (high - low)
    assert places.min() > -1e-3
    assert places.max() < 1 + 1e-3
    np.testing.assert_allclose(places.mean(0), 0.5, atol=0.1)
    np.testing.assert_allclose(places.std(0), 12**-0.5, atol=0.05)
    assert found.uniform_error.max() < 1e-3


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("flow", FLOWS)
def test_likelihood_is_the_priors_own(name: str, flow: str) -> None:
    prior = small_prior(SPECS[name], flow)
    transitions = made_by(prior, SPECS[name], drawn(SPECS[name]))
    found = invert(prior, transitions, chance(), silent)
    seen = {key: torch.from_numpy(value) for key, value in transitions.observations.items()}
    actions = torch.from_numpy(transitions.actions)
    with torch.inference_mode():
        expected = prior.log_prob(actions, prior.context(seen)) / SPECS[name].action.dim
    np.testing.assert_allclose(found.log_prob_per_dim, expected, rtol=1e-3, atol=1e-3)


def test_a_matched_flow_says_how_far_its_one_step_is_from_its_inverse() -> None:
    spec = SPECS["vectors alone"]
    prior = small_prior(spec, "matching")
    found = invert(prior, made_by(prior, spec, drawn(spec)), chance(), silent)
    assert found.restored_error.max() > 1e-3


@pytest.mark.parametrize("bound", [0.5, 1.0, 2.0, 3.0])
def test_latents_of_the_prior_s_own_have_the_shares_of_chi_square(bound: float) -> None:
    latents = np.random.default_rng(0).normal(size=(200_000, 3))
    shares, expected = shares_within(latents, bound), chi2.cdf(bound**2, df=1)
    assert shares["normal_by_dimension"] == pytest.approx(expected)
    assert shares["normal_all"] == pytest.approx(expected**3)
    np.testing.assert_allclose(shares["by_dimension"], expected, atol=5e-3)
    assert shares["all"] == pytest.approx(expected**3, abs=5e-3)


def test_all_at_once_counts_steps_and_not_dimensions() -> None:
    shares = shares_within(np.array([[0.0, 2.0], [2.0, 0.0], [0.5, 1.0], [0.0, 0.0]]), 1.0)
    assert shares["by_dimension"] == [0.75, 0.75]
    assert shares["all"] == 0.5


@pytest.mark.parametrize("flow", EXACT)
def test_the_worst_step_is_the_one_that_was_planted(flow: str) -> None:
    spec = SPECS["vectors alone"]
    prior, z = small_prior(spec, flow), drawn(spec)
    row = LENGTHS[0] + LENGTHS[1] + 7
    z[row, 2] = -9.0
    found = invert(prior, made_by(prior, spec, z), chance(), silent)
    (worst,) = least_likely(found, entries(), 1)
    assert (worst["episode"], worst["task"], worst["step"]) == (20, "task 2", 7)
    assert worst["dimension"] == 2
    assert worst["latent"] == pytest.approx(-9.0, abs=1e-2)
    assert worst["log_prob_per_dim"] == found.log_prob_per_dim.min()


def test_of_equals_the_earlier_step_is_named_first_and_no_more_than_there_are() -> None:
    log_probs = np.array([0.0, -1.0, 2.0, -1.0])
    steps = least_likely(inverted(np.zeros((4, 1)), log_probs), entries((4,)), 10)
    assert [step["step"] for step in steps] == [1, 3, 0, 2]


def test_moments_are_by_dimension() -> None:
    latents = np.array([[1.0, -2.0], [3.0, -2.0]])
    found = measures(inverted(latents), entries((2,)), [1.0, 2.0], 1)
    assert found["latents"] == {"mean": [2.0, -2.0], "std": [1.0, 0.0]}
    assert [row["latent_bound"] for row in found["within"]] == [1.0, 2.0]
    assert [row["all"] for row in found["within"]] == [0.0, 0.5]
    assert [row["uniform_all"] for row in found["within"]] == [0.0, 0.0]
    assert found["restored"] == {"demonstrated": 1.0, "uniform": 0.0}


def test_measures_of_a_task_are_those_of_its_demonstrations_alone() -> None:
    latents = np.random.default_rng(0).normal(size=(12, 2))
    of = [replace(e, task=task) for e, task in zip(entries((3, 4, 5)), "aba", strict=True)]
    by_task = measures_by_task(of_episodes(latents, (3, 4, 5)), of, [1.0], 20)
    assert list(by_task) == ["a", "b"]
    rest = np.concatenate([latents[:3], latents[7:]])
    alone = measures(of_episodes(rest, (3, 5)), [of[0], of[2]], [1.0], 20)
    assert by_task["a"] == alone
    assert [step["episode"] for step in by_task["b"]["least_likely"]] == [10] * 4


def test_all_measures_are_those_of_the_tasks_together() -> None:
    lengths = (3, 4, 5)
    found = of_episodes(np.random.default_rng(0).normal(size=(12, 2)), lengths)
    metrics = measured(found, entries(lengths))
    weights = [each["num_transitions"] for each in metrics["tasks"].values()]
    assert weights == [3, 4, 5]
    for name in ("log_prob_per_dim", "num_episodes"):
        values = [each[name] for each in metrics["tasks"].values()]
        together = sum(values) if name == "num_episodes" else np.average(values, weights=weights)
        assert metrics[name] == pytest.approx(together)
    shares = [each["within"][0]["all"] for each in metrics["tasks"].values()]
    assert metrics["within"][0]["all"] == pytest.approx(np.average(shares, weights=weights))


def test_a_step_without_a_finite_latent_is_named() -> None:
    latents = np.zeros((3, 2))
    check_finite(inverted(latents), entries((3,)), Path("demos"))
    latents[1, 1] = np.inf
    with pytest.raises(UserError, match="demos: the prior gives the action of episode 0, step 1,"):
        check_finite(inverted(latents), entries((3,)), Path("demos"))


def test_a_figure_is_a_function_of_what_it_shows() -> None:
    found = of_episodes(np.random.default_rng(1).normal(size=(30, 4)), [10, 20])
    metrics = measured(found, entries((10, 20)))
    first, second = (audit_figure(found, metrics, 3) for _ in range(2))
    assert first.startswith(b"\x89PNG")
    assert first == second


def test_tasks_are_drawn_where_there_are_several_and_each_takes_place() -> None:
    heights = []
    for num_tasks in (1, 2, 12):
        lengths = (3,) * num_tasks
        found = of_episodes(np.random.default_rng(1).normal(size=(3 * num_tasks, 4)), lengths)
        drawn = audit_figure(found, measured(found, entries(lengths)), 3)
        with Image.open(io.BytesIO(drawn)) as image:
            heights.append(image.height)
    assert heights[0] < heights[1] < heights[2]
