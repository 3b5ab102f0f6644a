"""A prior is invertible on pictures, and its folder brings it back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, write_json
from parrot_models.networks.stored import CONFIG
from parrot_models.prior.architecture import PriorArchitecture
from parrot_models.prior.behavioral_prior import BehavioralPrior

ARCHITECTURE = PriorArchitecture(
    image_size=48,
    proprioception=False,
    encoder="fast",
    feature_dim=16,
    window_dim=0,
    num_keypoints=4,
    keypoint_width=4,
    context_dim=8,
    num_layers=2,
    hidden=[16],
    max_log_scale=2.0,
)


SPLINE = dataclasses.replace(ARCHITECTURE, flow="spline", num_bins=4, bound=4.0)
MATCHING = dataclasses.replace(ARCHITECTURE, flow="matching", velocity_hidden=[16], num_steps=2)
EVERY_FLOW = pytest.mark.parametrize(
    "architecture", [ARCHITECTURE, SPLINE, MATCHING], ids=lambda a: a.flow
)


def random_prior(architecture: PriorArchitecture = ARCHITECTURE) -> BehavioralPrior:
    torch.manual_seed(0)
    prior = BehavioralPrior(architecture)
    for parameter in prior.flow.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return prior.eval()


def pictures(count: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 48, 48, 3), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("architecture", [ARCHITECTURE, SPLINE], ids=lambda a: a.flow)
def test_latents_come_back_from_actions(architecture: PriorArchitecture) -> None:
    prior = random_prior(architecture)
    context = prior.encode(pictures()).context
    z = torch.randn(5, 7, generator=torch.Generator().manual_seed(2))
    recovered, _ = prior.flow.inverse(prior.decode(z, context), context)
    torch.testing.assert_close(recovered, z, atol=1e-4, rtol=1e-4)


@EVERY_FLOW
def test_actions_depend_on_the_picture(architecture: PriorArchitecture) -> None:
    prior = random_prior(architecture)
    context = prior.encode(pictures(2)).context
    z = torch.zeros(2, 7)
    assert not torch.allclose(*prior.decode(z, context))


def test_proprioception_is_asked_for_where_it_is_read() -> None:
    prior = random_prior(dataclasses.replace(ARCHITECTURE, proprioception=True))
    with pytest.raises(ValueError, match="proprioception"):
        prior.encode(pictures())
    assert prior.encode(pictures(), torch.zeros(5, 8)).context.shape == (5, 8)


@EVERY_FLOW
def test_a_saved_prior_comes_back_frozen_and_the_same(
    tmp_path: Path, architecture: PriorArchitecture
) -> None:
    prior = random_prior(architecture)
    prior.save(tmp_path, {})
    loaded = BehavioralPrior.load(tmp_path)
    z = torch.randn(5, 7, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        context = prior.encode(pictures()).context
        assert torch.equal(loaded.encode(pictures()).context, context)
        assert torch.equal(loaded.decode(z, context), prior.decode(z, context))
        assert torch.equal(loaded.log_prob(z, context), prior.log_prob(z, context))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_weights_of_another_architecture_are_refused_by_name(tmp_path: Path) -> None:
    random_prior().save(tmp_path, {})
    config = read_json(tmp_path / CONFIG)
    config["architecture"]["context_dim"] = 9
    write_json(tmp_path / CONFIG, config)
    with pytest.raises(UserError, match=r"prior\.safetensors.*another architecture"):
        BehavioralPrior.load(tmp_path)


def test_a_config_from_before_there_was_a_choice_is_that_of_an_affine_flow(tmp_path: Path) -> None:
    prior = random_prior()
    prior.save(tmp_path, {})
    config = read_json(tmp_path / CONFIG)
    for name in ("flow", "num_bins", "bound", "velocity_hidden", "num_steps"):
        del config["architecture"][name]
    write_json(tmp_path / CONFIG, config)
    loaded = BehavioralPrior.load(tmp_path)
    assert type(loaded.flow) is type(prior.flow)


def test_an_unknown_flow_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"'spiral'.*matching"):
        BehavioralPrior(dataclasses.replace(ARCHITECTURE, flow="spiral"))


def test_missing_and_truncated_weights_are_refused_by_name(tmp_path: Path) -> None:
    random_prior().save(tmp_path, {})
    weights = tmp_path / "prior.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UserError, match=r"prior\.safetensors"):
        BehavioralPrior.load(tmp_path)
    weights.unlink()
    with pytest.raises(UserError, match=r"prior\.safetensors"):
        BehavioralPrior.load(tmp_path)


def test_the_foveal_encoder_needs_proprioception() -> None:
    with pytest.raises(UserError, match=r"foveal.*environment\.proprioception"):
        BehavioralPrior(dataclasses.replace(ARCHITECTURE, encoder="foveal", feature_dim=12))
