"""A prior is judged over the latents that an agent may use, not over those of the data alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from parrot_data.errors import UserError
from parrot_models.judging.prior import FARTHEST, LARGEST_LATENT_ERROR, latent_metrics
from parrot_models.prior.architecture import PriorArchitecture
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.training.sanity import check_metrics
from parrot_models.training.transitions import Batch

AFFINE = PriorArchitecture(
    image_size=48, proprioception=False, encoder="fast", feature_dim=4, window_dim=0,
    context_dim=4, num_keypoints=4, keypoint_width=4, num_layers=4, hidden=[16], max_log_scale=2.0,
)  # fmt: skip
SPLINE = replace(AFFINE, flow="spline", num_bins=8, bound=4.0, min_slope=0.1)
MATCHING = replace(AFFINE, flow="matching", velocity_hidden=[16], num_steps=8)


def moved_prior(architecture: PriorArchitecture, std: float) -> BehavioralPrior:
    torch.manual_seed(0)
    prior = BehavioralPrior(architecture).eval()
    for parameter in prior.flow.parameters():
        parameter.data += std * torch.randn_like(parameter)
    return prior.requires_grad_(False)


def batch(size: int = 64) -> Batch:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (size, 48, 48, 3), generator=generator, dtype=torch.uint8)
    return Batch(images, torch.zeros(size, 8), torch.zeros(size, 7))


@pytest.mark.parametrize("architecture", [AFFINE, SPLINE, MATCHING], ids=lambda a: a.flow)
def test_latents_are_found_again(architecture: PriorArchitecture) -> None:
    metrics = latent_metrics(moved_prior(architecture, 0.02), batch(), seed=0)
    assert metrics["latents_found_again"]
    assert 0 < metrics["latent_inverse_error_typical"] <= metrics["latent_inverse_error"]
    assert metrics["latent_inverse_error"] <= LARGEST_LATENT_ERROR
    check_metrics(metrics)


def test_an_inverse_that_fails_far_out_is_flagged() -> None:
    """Right at the data's latents, wrong where one dimension is beyond 3.5."""

    class Fragile(nn.Module):
        def forward(self, z, _context):
            return z, z.new_zeros(len(z))

        def inverse(self, actions, _context):
            return actions.clamp(-3.5, 3.5), actions.new_zeros(len(actions))

    prior = moved_prior(AFFINE, 0.0)
    prior.flow = Fragile()
    metrics = latent_metrics(prior, batch(), seed=0)
    assert not metrics["latents_found_again"]
    assert metrics["latent_inverse_error"] == pytest.approx(FARTHEST - 3.5, abs=0.05)


def test_an_inverse_that_is_no_number_is_refused() -> None:
    prior = moved_prior(AFFINE, 0.0)
    prior.flow.data_norm.log_scale[0] = torch.nan
    with pytest.raises(UserError, match="latent_inverse_error = inf"):
        check_metrics(latent_metrics(prior, batch(), seed=0))
