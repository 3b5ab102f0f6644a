"""A prior is measured over the latents that an agent may use, not over those of the data alone."""

from __future__ import annotations

import pytest
import torch
from small_priors import FLOWS, small_prior
from torch import nn

from parrot_data.errors import UserError
from parrot_models.prior.measures import FARTHEST, LARGEST_LATENT_ERROR, latent_metrics
from parrot_models.training.sanity import check_metrics
from parrot_models.training.transitions import Batch
from tests.specs import TWO_IMAGES, VECTORS_ALONE, some_actions, some_observations


def batch(spec=VECTORS_ALONE, size: int = 64) -> Batch:
    return Batch(some_observations(spec, size), some_actions(spec, size))


@pytest.mark.parametrize("spec", [VECTORS_ALONE, TWO_IMAGES], ids=["bounded", "unbounded"])
@pytest.mark.parametrize("flow", FLOWS)
def test_latents_are_found_again(flow: str, spec) -> None:
    metrics = latent_metrics(small_prior(spec, flow), batch(spec), seed=0)
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

    prior = small_prior(VECTORS_ALONE)
    prior.flow = Fragile()
    metrics = latent_metrics(prior, batch(), seed=0)
    assert not metrics["latents_found_again"]
    assert metrics["latent_inverse_error"] == pytest.approx(FARTHEST - 3.5, abs=0.05)


def test_an_inverse_that_is_no_number_is_refused() -> None:
    prior = small_prior(VECTORS_ALONE)
    for parameter in prior.flow.parameters():
        parameter.data.fill_(torch.nan)
    with pytest.raises(UserError, match="latent_inverse_error = inf"):
        check_metrics(latent_metrics(prior, batch(), seed=0))
