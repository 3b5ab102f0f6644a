"""What acts on a prior is that prior."""

from __future__ import annotations

import pytest
import torch

from parrot_models.prior.acting_prior import ActingPrior
from parrot_models.prior.architecture import PriorArchitecture
from parrot_models.prior.behavioral_prior import BehavioralPrior


def make_prior(encoder: str) -> BehavioralPrior:
    torch.manual_seed(0)
    architecture = PriorArchitecture(
        image_size=48,
        proprioception=True,
        encoder=encoder,
        feature_dim=12,
        window_dim=0,
        num_keypoints=4,
        keypoint_width=4,
        context_dim=8,
        num_layers=2,
        hidden=[16],
        max_log_scale=2.0,
    )
    return BehavioralPrior(architecture).eval().requires_grad_(False)


def observation() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (1, 48, 48, 3), dtype=torch.uint8, generator=generator)
    gripper = torch.tensor([[0.3, 0.02, 0.1, 0.0, 1.0, 0.0, 0.0, 0.05]])
    return images, gripper


def test_full_precision_changes_no_bit() -> None:
    prior = make_prior("foveal")
    for mine, its in zip(
        ActingPrior(prior, "fp32").encode(*observation()), prior.encode(*observation()), strict=True
    ):
        assert torch.equal(mine, its)


@pytest.mark.parametrize("encoder", ["foveal", "fast"])
def test_half_precision_encodes_alike(encoder: str) -> None:
    prior = make_prior(encoder)
    acting = ActingPrior(prior, "bf16")
    for mine, its in zip(acting.encode(*observation()), prior.encode(*observation()), strict=True):
        torch.testing.assert_close(mine, its, rtol=0, atol=0.1)


def test_it_decodes_as_the_prior_does() -> None:
    prior = make_prior("foveal")
    z, context = torch.full((1, 7), 0.3), prior.encode(*observation()).context
    assert torch.equal(ActingPrior(prior, "bf16").decode(z, context), prior.decode(z, context))
