"""A cloned Gaussian is a density over the box of actions, and what it samples follows it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from parrot_data.errors import UserError
from parrot_models.baselines.bc_model import (
    WEIGHTS,
    BehaviorCloning,
    CloneArchitecture,
)

ARCHITECTURE = CloneArchitecture(
    image_size=48,
    proprioception=True,
    encoder="foveal",
    feature_dim=6,
    window_dim=0,
    context_dim=8,
    hidden=[16],
)


@pytest.fixture
def policy() -> BehaviorCloning:
    torch.manual_seed(0)
    return BehaviorCloning(ARCHITECTURE).eval().requires_grad_(False)


def observations(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 48, 48, 3), generator=generator, dtype=torch.uint8)
    proprioception = torch.rand(count, 8, generator=generator) * 0.2 + 0.1
    return images, proprioception


def test_the_density_is_one_over_the_box(policy: BehaviorCloning) -> None:
    """The mean of density / proposal over a uniform proposal: 1 where it integrates to 1."""
    policy.head[-1].bias[7:] += 0.5  # as wide as the box, or a few draws would decide
    context = policy.context(*observations(1)).expand(200_000, -1)
    actions = 2 * torch.rand(200_000, 7, generator=torch.Generator().manual_seed(2)) - 1
    weights = (policy.log_prob(actions, context) + 7 * math.log(2.0)).double().exp()
    error = float(weights.std()) / math.sqrt(len(weights))
    assert error < 0.02
    assert float(weights.mean()) == pytest.approx(1.0, abs=5 * error)


def test_samples_have_the_moments_of_the_gaussian_under_the_tanh(policy: BehaviorCloning) -> None:
    context = policy.context(*observations(1))
    mean, std = policy.gaussian(context)
    samples = policy.sample(context.expand(20_000, -1), torch.Generator().manual_seed(3))
    assert bool((samples.abs() <= 1).all())
    under = torch.atanh(samples.double().clamp(-1 + 1e-7, 1 - 1e-7))
    torch.testing.assert_close(under.mean(0), mean[0].double(), atol=0.05, rtol=0.05)
    torch.testing.assert_close(under.std(0), std[0].double(), atol=0.05, rtol=0.05)


def test_the_same_generator_samples_the_same(policy: BehaviorCloning) -> None:
    context = policy.context(*observations(2))
    first, second = (policy.sample(context, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second)


def test_an_action_on_the_bound_has_a_finite_density(policy: BehaviorCloning) -> None:
    context = policy.context(*observations(1))
    assert math.isfinite(float(policy.log_prob(torch.ones(1, 7), context)))


def test_what_is_saved_is_loaded(policy: BehaviorCloning, tmp_path: Path) -> None:
    policy.save(tmp_path, {})
    loaded = BehaviorCloning.load(tmp_path)
    assert torch.equal(loaded.context(*observations(2)), policy.context(*observations(2)))


@pytest.mark.parametrize("harm", ["missing", "other"])
def test_broken_weights_are_named(policy: BehaviorCloning, tmp_path: Path, harm: str) -> None:
    policy.save(tmp_path, {})
    (tmp_path / WEIGHTS).unlink()
    if harm == "other":
        (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"policy\.safetensors.*`parrot pretrain --method bc`"):
        BehaviorCloning.load(tmp_path)


@pytest.mark.parametrize("change", [{"proprioception": False}, {"feature_dim": 7}])
def test_foveal_says_what_it_needs(change: dict) -> None:
    with pytest.raises(UserError, match="foveal"):
        BehaviorCloning(CloneArchitecture(**{**vars(ARCHITECTURE), **change}))
