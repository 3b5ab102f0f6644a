"""What acts on a prior is that prior."""

from __future__ import annotations

import pytest
import torch
from small_priors import small_prior

from parrot_models.prior.acting_prior import ActingPrior
from tests.specs import SPECS, some_observations

every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


@every_spec
def test_full_precision_changes_no_bit(spec) -> None:
    prior, observation = small_prior(spec), some_observations(spec, 1)
    acting = ActingPrior(prior, "fp32")
    for mine, its in zip(acting.encode(observation), prior.encode(observation), strict=True):
        assert torch.equal(mine, its)
    assert acting.spec == spec


@every_spec
def test_half_precision_encodes_alike(spec) -> None:
    prior, observation = small_prior(spec), some_observations(spec, 1)
    acting = ActingPrior(prior, "bf16")
    for mine, its in zip(acting.encode(observation), prior.encode(observation), strict=True):
        torch.testing.assert_close(mine, its, rtol=0, atol=0.1)


@every_spec
def test_it_decodes_as_the_prior_does(spec) -> None:
    prior = small_prior(spec)
    z = torch.full((1, prior.latent_dim), 0.3)
    context = prior.encode(some_observations(spec, 1)).context
    assert torch.equal(ActingPrior(prior, "bf16").decode(z, context), prior.decode(z, context))
