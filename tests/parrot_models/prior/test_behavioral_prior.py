"""A prior is invertible on whatever a spec describes, and its folder brings it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_priors import FLOWS, FOVEAL, architecture_for, small_prior

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, write_json
from parrot_models.networks.stored import CONFIG
from parrot_models.prior.behavioral_prior import BehavioralPrior
from tests.specs import (
    SPECS,
    TABLETOP_LIKE,
    TWO_IMAGES,
    VECTORS_ALONE,
    some_actions,
    some_observations,
)

every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
every_flow = pytest.mark.parametrize("flow", FLOWS)


def latents(prior: BehavioralPrior, count: int) -> torch.Tensor:
    return torch.randn(count, prior.latent_dim, generator=torch.Generator().manual_seed(2))


@every_spec
@pytest.mark.parametrize("flow", ["affine", "spline"])
def test_latents_come_back_from_actions(spec: EpisodeSpec, flow: str) -> None:
    prior, z = small_prior(spec, flow), None
    context = prior.encode(some_observations(spec, 5)).context
    z = latents(prior, 5)
    recovered = prior.inverse(prior.decode(z, context), context)
    torch.testing.assert_close(recovered, z, atol=1e-3, rtol=1e-3)


@every_spec
@every_flow
def test_actions_depend_on_the_observation(spec: EpisodeSpec, flow: str) -> None:
    prior = small_prior(spec, flow)
    context = prior.encode(some_observations(spec, 2)).context
    assert not torch.allclose(*prior.decode(torch.zeros(2, prior.latent_dim), context))


@every_spec
def test_an_agent_sees_keypoints_and_own_features(spec: EpisodeSpec) -> None:
    prior, seen = small_prior(spec), some_observations(spec, 3)
    features = prior.encode(seen).features
    assert features.shape == (3, prior.feature_dim)
    assert prior.feature_dim == len(spec.images) * 12 + prior.own_dim
    torch.testing.assert_close(features[:, -prior.own_dim :], prior.own_features(seen)) \
        if prior.own_dim else None  # fmt: skip


def test_without_keypoints_an_agent_sees_own_features_alone() -> None:
    prior = small_prior(TABLETOP_LIKE, keypoints=None)
    seen = some_observations(TABLETOP_LIKE, 3)
    assert torch.equal(prior.encode(seen).features, prior.own_features(seen))


@every_flow
def test_units_of_actions_change_decoded_actions_and_no_likelihood(flow: str) -> None:
    """An unbounded robot driven in other units: the same latents mean the same motions."""
    prior, other = small_prior(TWO_IMAGES, flow), small_prior(TWO_IMAGES, flow)
    seen, actions = some_observations(TWO_IMAGES, 50), some_actions(TWO_IMAGES, 50)
    other.init_from_data(seen, 1000.0 * actions + 5.0)
    context, z = prior.context(seen), latents(prior, 50)
    torch.testing.assert_close(
        other.decode(z, context), 1000.0 * prior.decode(z, context) + 5.0, rtol=1e-3, atol=1.0
    )
    torch.testing.assert_close(
        other.log_prob(1000.0 * actions + 5.0, context), prior.log_prob(actions, context),
        rtol=1e-3, atol=1e-2,
    )  # fmt: skip


@every_spec
@every_flow
def test_a_saved_prior_comes_back_frozen_and_the_same(
    tmp_path: Path, spec: EpisodeSpec, flow: str
) -> None:
    prior, seen = small_prior(spec, flow), some_observations(spec, 5)
    prior.save(tmp_path, {})
    loaded, z = BehavioralPrior.load(tmp_path), latents(prior, 5)
    context = prior.encode(seen).context
    assert torch.equal(loaded.encode(seen).context, context)
    assert torch.equal(loaded.decode(z, context), prior.decode(z, context))
    actions = prior.decode(z, context)
    assert torch.equal(loaded.log_prob(actions, context), prior.log_prob(actions, context))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert EpisodeSpec.model_validate_json(json.dumps(read_json(tmp_path / CONFIG)["spec"])) == spec


def test_weights_of_another_architecture_are_refused_by_name(tmp_path: Path) -> None:
    small_prior().save(tmp_path, {})
    config = read_json(tmp_path / CONFIG)
    config["architecture"]["context_dim"] = 9
    write_json(tmp_path / CONFIG, config)
    with pytest.raises(UserError, match=r"prior\.safetensors.*another architecture"):
        BehavioralPrior.load(tmp_path)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("flow", {"kind": "spiral"}),
        ("flow", {"kind": "affine"}),
        ("flow", {**FLOWS["affine"], "num_bins": 3}),
        ("encoder", {"kind": "vector"}),
        ("encoder", {**FOVEAL, "feature_dim": 13}),
        ("keypoints", {}),
    ],
)
def test_an_architecture_that_is_none_is_refused(tmp_path: Path, part: str, value: object) -> None:
    small_prior().save(tmp_path, {})
    config = read_json(tmp_path / CONFIG)
    config["architecture"][part] = value
    write_json(tmp_path / CONFIG, config)
    with pytest.raises(UserError, match=r"config\.json does not describe a prior"):
        BehavioralPrior.load(tmp_path)


def test_missing_and_truncated_weights_are_refused_by_name(tmp_path: Path) -> None:
    small_prior().save(tmp_path, {})
    weights = tmp_path / "prior.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UserError, match=r"prior\.safetensors"):
        BehavioralPrior.load(tmp_path)
    weights.unlink()
    with pytest.raises(UserError, match=r"prior\.safetensors"):
        BehavioralPrior.load(tmp_path)


def test_keypoints_of_vectors_alone_are_refused_in_one_sentence() -> None:
    with pytest.raises(UserError, match=r"needs images.*keypoints to {kind: none}"):
        BehavioralPrior(architecture_for(VECTORS_ALONE, keypoints={"num_keypoints": 4, "width": 4}))
