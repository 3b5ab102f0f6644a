"""A beta-VAE's bound is one on a density, and what it saves it loads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from parrot_data.errors import UserError
from parrot_models.baselines.vae_model import (
    PIXEL_STD,
    WEIGHTS,
    BetaVAE,
    Posterior,
    VAEArchitecture,
    evidence_bound,
    is_foreground,
    log_density,
)

ARCHITECTURE = VAEArchitecture(image_size=48, latent_dim=3, width=4, hidden=8)


@pytest.fixture
def vae() -> BetaVAE:
    torch.manual_seed(0)
    return BetaVAE(ARCHITECTURE).eval().requires_grad_(False)


def pictures(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 48, 48, 3), generator=generator, dtype=torch.uint8)


def gaussian(posterior: Posterior) -> Independent:
    return Independent(Normal(posterior.mean, posterior.log_std.exp()), 1)


def test_the_kl_is_that_of_two_gaussians() -> None:
    generator = torch.Generator().manual_seed(2)
    mean, log_std = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    posterior = Posterior(mean, log_std)
    normal = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    torch.testing.assert_close(posterior.kl(), kl_divergence(gaussian(posterior), normal))
    assert bool((posterior.kl() > 0).all())
    assert float(Posterior(torch.zeros(1, 3), torch.zeros(1, 3)).kl()) == 0.0


def test_samples_have_the_moments_of_the_posterior() -> None:
    mean, log_std = torch.tensor([[0.5, -2.0]]), torch.tensor([[-1.0, 0.3]])
    noise = torch.randn(50_000, 2, generator=torch.Generator().manual_seed(3))
    z = Posterior(mean, log_std).sample(noise)
    torch.testing.assert_close(z.mean(0), mean[0], atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(0), log_std[0].exp(), atol=0, rtol=0.02)


def test_the_likelihood_is_a_gaussians_whose_precision_is_higher_on_objects() -> None:
    generator = torch.Generator().manual_seed(4)
    difference, decoded = 0.2 * torch.randn(2, 2, 4, 6, 6, generator=generator).double()
    weight = torch.where(is_foreground(difference), 30.0, 1.0)
    assert 0 < int((weight == 1).sum()) < weight.numel()
    expected = Normal(decoded, PIXEL_STD / weight.sqrt()).log_prob(difference).sum((1, 2, 3))
    torch.testing.assert_close(log_density(difference, decoded, 30.0), expected)


def test_the_bound_is_below_the_evidence(vae: BetaVAE) -> None:
    """Below log p(x) by importance sampling, which a posterior that is not exact makes strict."""
    images = pictures(1)
    difference = vae.difference(images)
    posterior = vae.posterior(difference)
    noise = torch.randn(4000, 3, generator=torch.Generator().manual_seed(5))
    z = posterior.sample(noise)
    log_likelihood = log_density(difference, vae.decode(z), 1.0).double()
    prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1).log_prob(z)
    log_weight = log_likelihood + prior - gaussian(posterior).log_prob(z)
    evidence = torch.logsumexp(log_weight, 0) - torch.tensor(4000.0).log()

    bound = evidence_bound(vae, images.expand(4000, -1, -1, -1)[:500], noise[:500], 1.0)
    elbo = (bound.log_likelihood - bound.kl).mean()
    error = float(bound.log_likelihood.std()) / 500**0.5
    assert float(elbo) < float(evidence)
    assert float(elbo) == pytest.approx(float(log_weight.mean()), abs=5 * error + 1e-3)


def test_features_are_the_mean_of_the_posterior(vae: BetaVAE) -> None:
    images = pictures(2)
    mean = vae.posterior(vae.difference(images)).mean
    assert torch.equal(vae.features(images), mean)
    assert mean.shape == (2, vae.feature_dim)


def test_a_picture_like_the_mean_one_has_no_object(vae: BetaVAE) -> None:
    grey = torch.full((1, 48, 48, 3), 90, dtype=torch.uint8)
    vae.init_from_data(grey)
    assert not bool(is_foreground(vae.difference(grey)).any())
    with_object = grey.clone()
    with_object[0, 5:8, 20:24, 1] = 200
    places = is_foreground(vae.difference(with_object))[0, 0].nonzero()
    assert places.min(0).values.tolist() == [5, 20]
    assert places.max(0).values.tolist() == [7, 23]


def test_a_reconstruction_is_a_picture(vae: BetaVAE) -> None:
    images = pictures(3)
    drawn = vae.reconstructions(images)
    assert drawn.shape == images.shape
    assert drawn.dtype == torch.uint8


def test_what_is_saved_is_loaded(vae: BetaVAE, tmp_path: Path) -> None:
    vae.init_from_data(pictures(4))
    vae.save(tmp_path, {})
    loaded = BetaVAE.load(tmp_path)
    assert torch.equal(loaded.features(pictures(2)), vae.features(pictures(2)))
    assert torch.equal(loaded.reconstructions(pictures(2)), vae.reconstructions(pictures(2)))
    assert not any(p.requires_grad for p in loaded.parameters())


@pytest.mark.parametrize("harm", ["missing", "other"])
def test_broken_weights_are_named(vae: BetaVAE, tmp_path: Path, harm: str) -> None:
    vae.save(tmp_path, {})
    (tmp_path / WEIGHTS).unlink()
    if harm == "other":
        (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"vae\.safetensors.*`parrot pretrain --method vae`"):
        BetaVAE.load(tmp_path)


def test_a_size_that_cannot_be_halved_is_named() -> None:
    with pytest.raises(UserError, match=r"environment\.image_size must be a multiple of 8, not 50"):
        BetaVAE(VAEArchitecture(50, 3, 4, 8))
