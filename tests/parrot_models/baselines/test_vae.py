"""A beta-VAE's bound is one on a density, whatever images there are; what it saves it loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from part_params import NONE, part_params
from PIL import Image
from some_shards import write_demonstrations
from torch.distributions import Independent, Normal, kl_divergence

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_models.baselines import vae_training
from parrot_models.baselines.params import BetaVAEParams
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
from parrot_models.baselines.vae_training import draw_reconstructions, error_metrics, num_active
from parrot_models.pretrain import PretrainParams, pretrain
from tests.specs import SPECS, some_observations, spec_of

IMAGES = {name: spec for name, spec in SPECS.items() if spec.images}
every_spec = pytest.mark.parametrize("spec", IMAGES.values(), ids=IMAGES)
ONE = SPECS["one image"]
TWO = SPECS["two images, unbounded"]


def vae_of(spec: EpisodeSpec) -> BetaVAE:
    torch.manual_seed(0)
    vae = BetaVAE(VAEArchitecture(spec=spec, latent_dim=3, width=4, hidden=8))
    return vae.eval().requires_grad_(False)


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


def test_the_bound_is_below_the_evidence() -> None:
    """Below log p(x) by importance sampling, which a posterior that is not exact makes strict."""
    spec = spec_of(images={"camera": (21, 30)})
    vae, seen = vae_of(spec), some_observations(spec, 1)
    one = vae.vae_of("camera")
    difference = one.difference(seen["camera"])
    posterior = one.posterior(difference)
    noise = torch.randn(4000, 3, generator=torch.Generator().manual_seed(5))
    z = posterior.sample(noise)
    log_likelihood = log_density(difference, one.decode(z), 1.0).double()
    prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1).log_prob(z)
    log_weight = log_likelihood + prior - gaussian(posterior).log_prob(z)
    evidence = torch.logsumexp(log_weight, 0) - torch.tensor(4000.0).log()

    many = {"camera": seen["camera"].expand(500, -1, -1, -1)}
    bound = evidence_bound(vae, many, noise[:500], 1.0)
    elbo = (bound.log_likelihood - bound.kl).mean()
    error = float(bound.log_likelihood.std()) / 500**0.5
    assert float(elbo) < float(evidence)
    assert float(elbo) == pytest.approx(float(log_weight.mean()), abs=5 * error + 1e-3)


def test_the_bound_of_two_images_is_the_sum_of_either() -> None:
    vae, seen = vae_of(TWO), some_observations(TWO, 4)
    noise = torch.randn(4, vae.feature_dim, generator=torch.Generator().manual_seed(6))
    both = evidence_bound(vae, seen, noise, 30.0)
    log_likelihood, kl = torch.zeros(4), torch.zeros(4)
    for name, part in zip(TWO.images, noise.split(3, -1), strict=True):
        one = vae.vae_of(name)
        difference = one.difference(seen[name])
        posterior = one.posterior(difference)
        log_likelihood += log_density(difference, one.decode(posterior.sample(part)), 30.0)
        kl += posterior.kl()
    torch.testing.assert_close(both.log_likelihood, log_likelihood)
    torch.testing.assert_close(both.kl, kl)


@every_spec
def test_features_are_the_means_of_the_posteriors_side_by_side(spec: EpisodeSpec) -> None:
    vae, seen = vae_of(spec), some_observations(spec, 2)
    ones = [(vae.vae_of(name), seen[name]) for name in spec.images]
    means = [one.posterior(one.difference(images)).mean for one, images in ones]
    assert torch.equal(vae.features(seen), torch.cat(means, -1))
    assert vae.feature_dim == 3 * len(spec.images) == vae.features(seen).shape[1]


def test_vectors_change_nothing() -> None:
    vae, seen = vae_of(TWO), some_observations(TWO, 2)
    assert torch.equal(vae.features({**seen, "joints": seen["joints"] + 1.0}), vae.features(seen))


def test_an_image_like_the_mean_one_has_no_object() -> None:
    vae = vae_of(ONE)
    grey = torch.full((1, 64, 64, 3), 90, dtype=torch.uint8)
    vae.init_from_data({"camera": grey})
    one = vae.vae_of("camera")
    assert not bool(is_foreground(one.difference(grey)).any())
    with_object = grey.clone()
    with_object[0, 5:8, 20:24, 1] = 200
    places = is_foreground(one.difference(with_object))[0, 0].nonzero()
    assert places.min(0).values.tolist() == [5, 20]
    assert places.max(0).values.tolist() == [7, 23]


@pytest.mark.parametrize("size", [(48, 48), (25, 32), (31, 17), (1, 9), (8, 120)])
def test_images_of_any_size_are_reconstructed(size: tuple[int, int]) -> None:
    spec = spec_of(images={"camera": size})
    vae, images = vae_of(spec), some_observations(spec, 3)["camera"]
    vae.init_from_data({"camera": images})
    drawn = vae.vae_of("camera").reconstructions(images)
    assert drawn.shape == images.shape
    assert drawn.dtype == torch.uint8


def test_metrics_and_the_drawing_are_of_all_images(tmp_path: Path) -> None:
    vae, seen = vae_of(TWO), some_observations(TWO, 30)
    vae.init_from_data(seen)
    metrics = error_metrics(vae, seen)
    assert set(metrics) == {
        "reconstruction_error", "object_error", "object_error_of_mean_image"
    }  # fmt: skip
    assert all(0 < value < 1 for value in metrics.values())
    assert 0 <= num_active(vae, seen) <= vae.feature_dim
    path = tmp_path / "reconstructions.png"
    draw_reconstructions(vae, seen, path)
    with Image.open(path) as drawn:
        assert drawn.height == 4 * vae_training.DRAWN_HEIGHT


@pytest.mark.parametrize("count", [1, 2])
def test_few_images_are_drawn_and_measured_too(tmp_path: Path, count: int) -> None:
    vae, seen = vae_of(ONE), some_observations(ONE, count)
    draw_reconstructions(vae, seen, tmp_path / "drawn.png")
    assert all(np.isfinite(value) for value in error_metrics(vae, seen).values())
    assert num_active(vae, seen) <= vae.feature_dim


@every_spec
def test_what_is_saved_is_loaded(spec: EpisodeSpec, tmp_path: Path) -> None:
    vae, seen = vae_of(spec), some_observations(spec, 4)
    vae.init_from_data(seen)
    vae.save(tmp_path, {})
    loaded = BetaVAE.load(tmp_path)
    assert loaded.spec == spec
    assert torch.equal(loaded.features(seen), vae.features(seen))
    for name in spec.images:
        drawn = [each.vae_of(name).reconstructions(seen[name]) for each in (vae, loaded)]
        assert torch.equal(*drawn)
    assert not any(p.requires_grad for p in loaded.parameters())


@pytest.mark.parametrize("harm", ["missing", "other"])
def test_broken_weights_are_named(tmp_path: Path, harm: str) -> None:
    vae_of(ONE).save(tmp_path, {})
    (tmp_path / WEIGHTS).unlink()
    if harm == "other":
        (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"vae\.safetensors.*`parrot pretrain --method vae`"):
        BetaVAE.load(tmp_path)


def test_vectors_alone_are_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"pretrain\.vae learns images.*leave vae out of"):
        vae_of(SPECS["vectors alone"])


def test_training_raises_the_bound_of_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And lowers the error where objects are below that of no object at all."""
    monkeypatch.setattr(vae_training, "NUM_INIT", 64)
    monkeypatch.setattr(vae_training, "NUM_LOGGED", 16)
    spec = spec_of(images={"left": (21, 32), "right": (16, 16)})
    data = write_demonstrations(tmp_path / "data", spec, (8, 12, 6, 20, 9, 8))

    def train(steps: int) -> dict:
        params = part_params("vae", steps=steps, learning_rate=1e-2, width=8, log_every=1000)
        vae = BetaVAEParams.model_validate(params)
        section = PretrainParams.model_construct(vae=vae)
        return pretrain(section, NONE, "vae", data, tmp_path / str(steps))

    little, more = train(1), train(80)
    assert more["elbo"] > little["elbo"] + 100.0
    assert more["object_error"] < little["object_error_of_mean_image"]
