"""A cloned Gaussian is a density of normalised actions, and what it samples follows it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from part_params import NONE, part_params
from some_shards import write_demonstrations

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_models.baselines import bc_training
from parrot_models.baselines.bc_model import WEIGHTS, BehaviorCloning, CloneArchitecture
from parrot_models.pretrain import PretrainParams, pretrain
from parrot_models.training.batches import TransitionBatches
from tests.specs import SPECS, encoder_for, some_actions, some_observations, spec_of

every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
FOVEAL = {"kind": "foveal", "feature_dim": 6, "window_dim": 0}


def policy_of(spec: EpisodeSpec, encoder: dict | None = None) -> BehaviorCloning:
    torch.manual_seed(0)
    values = {"encoder": encoder or encoder_for(spec), "context_dim": 8, "hidden": [16]}
    policy = BehaviorCloning(CloneArchitecture.model_validate({"spec": spec, **values}))
    policy.init_from_data(some_observations(spec, 50), some_actions(spec, 50))
    return policy.eval().requires_grad_(False)


def context_of(policy: BehaviorCloning, count: int) -> torch.Tensor:
    return policy.context(some_observations(policy.spec, count))


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (3.0, 7.0)])
def test_the_density_is_one_over_the_box(bounds: tuple[float, float]) -> None:
    """The mean of density / proposal over a uniform proposal: 1 where it integrates to 1."""
    policy = policy_of(spec_of(vectors={"state": 3}, action_dim=3, bounds=bounds))
    policy.head[-1].bias[3:] += 0.5  # as wide as the box, or a few draws would decide
    context, count = context_of(policy, 1), 200_000
    share = torch.rand(count, 3, generator=torch.Generator().manual_seed(2))
    actions = bounds[0] + (bounds[1] - bounds[0]) * share
    log_prob = policy.log_prob(actions, context.expand(count, -1))
    weights = (log_prob + 3 * math.log(2.0)).double().exp()
    error = float(weights.std()) / math.sqrt(count)
    assert error < 0.02
    assert float(weights.mean()) == pytest.approx(1.0, abs=5 * error)


def test_without_bounds_it_is_the_gaussian_of_standardised_actions() -> None:
    policy = policy_of(SPECS["two images, unbounded"])
    context, actions = context_of(policy, 4), some_actions(policy.spec, 4)
    density = torch.distributions.Normal(*policy.gaussian(context))
    standardised = policy.action_scale.normalised(actions)
    expected = density.log_prob(standardised).sum(-1)
    torch.testing.assert_close(policy.log_prob(actions, context), expected)


@every_spec
def test_samples_have_the_moments_of_the_gaussian(spec: EpisodeSpec) -> None:
    policy = policy_of(spec)
    context = context_of(policy, 1)
    mean, std = policy.gaussian(context)
    samples = policy.sample(context.expand(20_000, -1), torch.Generator().manual_seed(3))
    assert samples.shape == (20_000, spec.action.dim)
    under = policy.action_scale.normalised(samples).double()
    if spec.action.low is not None:
        assert bool((samples.abs() <= 1).all())
        under = torch.atanh(under.clamp(-1 + 1e-7, 1 - 1e-7))
    torch.testing.assert_close(under.mean(0), mean[0].double(), atol=0.05, rtol=0.05)
    torch.testing.assert_close(under.std(0), std[0].double(), atol=0.05, rtol=0.05)


@every_spec
def test_noise_of_zero_is_the_middle_of_the_policy(spec: EpisodeSpec) -> None:
    policy = policy_of(spec)
    context = context_of(policy, 2)
    mean, _ = policy.gaussian(context)
    middle = torch.tanh(mean) if spec.action.low is not None else mean
    acted = policy.decode(torch.zeros_like(mean), context)
    torch.testing.assert_close(policy.action_scale.normalised(acted), middle, atol=1e-5, rtol=1e-4)


def test_the_same_generator_samples_the_same() -> None:
    policy = policy_of(SPECS["one image"])
    context = context_of(policy, 2)
    first, second = (policy.sample(context, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second)


def test_an_action_on_the_bound_has_a_finite_density() -> None:
    policy = policy_of(SPECS["tabletop-like"])
    on_bound = torch.ones(1, policy.spec.action.dim)
    assert math.isfinite(float(policy.log_prob(on_bound, context_of(policy, 1))))


@every_spec
def test_what_is_saved_is_loaded(spec: EpisodeSpec, tmp_path: Path) -> None:
    policy = policy_of(spec)
    policy.save(tmp_path, {})
    loaded = BehaviorCloning.load(tmp_path)
    assert loaded.spec == spec
    assert torch.equal(context_of(loaded, 2), context_of(policy, 2))
    actions = some_actions(spec, 2)
    densities = [each.log_prob(actions, context_of(each, 2)) for each in (policy, loaded)]
    assert torch.equal(*densities)


@pytest.mark.parametrize("harm", ["missing", "other"])
def test_broken_weights_are_named(tmp_path: Path, harm: str) -> None:
    policy_of(SPECS["vectors alone"]).save(tmp_path, {})
    (tmp_path / WEIGHTS).unlink()
    if harm == "other":
        (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"policy\.safetensors.*`parrot pretrain --method bc`"):
        BehaviorCloning.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("one image", FOVEAL), ("tabletop-like", {**FOVEAL, "feature_dim": 7})],
)
def test_foveal_says_what_it_needs(name: str, encoder: dict) -> None:
    with pytest.raises(UserError, match=r"pretrain\.bc\.encoder.* foveal"):
        policy_of(SPECS[name], encoder)


@pytest.mark.parametrize("bounds", [None, (-1.0, 1.0)])
def test_cloning_raises_the_likelihood_of_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounds
) -> None:
    spec = spec_of(vectors={"state": 5}, action_dim=3, bounds=bounds)
    monkeypatch.setattr(bc_training, "NUM_INIT", 256)
    monkeypatch.setattr(bc_training, "NUM_LOGGED", 16)
    data = write_demonstrations(tmp_path / "data", spec)
    batches = TransitionBatches(data, tmp_path / "cache", 0.34)
    batch = batches.sample(64, np.random.default_rng(0))

    def likelihood(steps: int) -> float:
        params = part_params(
            "bc", encoder=encoder_for(spec), steps=steps, learning_rate=5e-3,
            precision="fp32", batch_size=16, log_every=1000,
        )  # fmt: skip
        section = PretrainParams.model_construct(
            bc=bc_training.CloningParams.model_validate(params)
        )
        out = tmp_path / str(steps)
        pretrain(section, NONE, "bc", data, out)
        policy = BehaviorCloning.load(out)
        with torch.inference_mode():
            context = policy.context(batch.observations)
            return float(policy.log_prob(batch.actions, context).mean())

    assert likelihood(80) > likelihood(1) + 1.0
