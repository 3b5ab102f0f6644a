"""Options: z holds from one boundary to the next, and what is saved acts as what was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from parrot_data.errors import UserError
from parrot_models.baselines.option_posterior import Segmentation
from parrot_models.baselines.options_model import WEIGHTS, OptionArchitecture, OptionModel

NUM_EPISODES, NUM_STEPS, LATENT_DIM = 16, 12, 3
ARCHITECTURE = OptionArchitecture(
    image_size=48,
    proprioception=True,
    encoder="foveal",
    feature_dim=10,
    window_dim=4,
    context_dim=8,
    hidden=[16],
    latent_dim=LATENT_DIM,
    posterior_width=8,
)


@pytest.fixture
def model() -> OptionModel:
    torch.manual_seed(0)
    return OptionModel(ARCHITECTURE).eval().requires_grad_(False)


def trajectories() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    proprioception = torch.rand(NUM_EPISODES, NUM_STEPS, 8, generator=generator)
    return proprioception, 2 * torch.rand(NUM_EPISODES, NUM_STEPS, 7, generator=generator) - 1


def observations(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (count, 48, 48, 3), generator=generator, dtype=torch.uint8)
    return images, torch.rand(count, 8, generator=generator) * 0.2 + 0.1


def segmentation(model: OptionModel, seed: int | None = 3) -> Segmentation:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return model.posterior(*trajectories(), generator)


@pytest.mark.parametrize("seed", [3, None])
def test_an_option_begins_at_step_0_and_z_changes_where_the_next_begins_only(
    model: OptionModel, seed: int | None
) -> None:
    found = segmentation(model, seed)
    begins = found.boundaries
    assert bool((begins[:, 0] == 1).all())
    assert set(begins.flatten().tolist()) == {0.0, 1.0}
    changes = (found.latents[:, 1:] != found.latents[:, :-1]).any(-1)
    assert torch.equal(changes, begins[:, 1:] == 1)
    # Only where an option begins does it cost anything.
    assert torch.equal(found.latent_divergences > 0, begins == 1)


def test_boundaries_are_as_frequent_as_their_probabilities_say(model: OptionModel) -> None:
    drawn = torch.stack([segmentation(model, seed).boundaries for seed in range(400)]).mean(0)
    error = (drawn - segmentation(model).probabilities).abs().max()
    assert float(error) < 0.15  # six standard errors of the widest


def test_boundaries_learn_from_what_the_options_lead_to(model: OptionModel) -> None:
    model.requires_grad_(True)
    segmentation(model).latents.square().sum().backward()
    gradient = model.posterior.boundary_head.weight.grad
    assert gradient is not None
    assert float(gradient.abs().sum()) > 0


def test_the_divergence_of_the_rate_is_zero_at_that_rate_and_nowhere_else(
    model: OptionModel,
) -> None:
    found = segmentation(model)
    rate = float(found.probabilities[:, 1:].mean())
    assert float(found.rate_divergence(rate)) == pytest.approx(0.0, abs=1e-6)
    assert float(found.rate_divergence(0.5 * rate)) > 0.01
    assert float(found.rate_divergence(0.5 * (1 + rate))) > 0.01


def test_the_same_generator_finds_the_same_options(model: OptionModel) -> None:
    first, second = segmentation(model), segmentation(model)
    assert torch.equal(first.latents, second.latents)
    assert not torch.equal(first.latents, segmentation(model, 4).latents)


def test_the_divergence_of_a_latent_is_that_of_torch(model: OptionModel) -> None:
    inputs = torch.cat(trajectories(), -1)
    hidden, _ = model.posterior.gru(inputs)
    mean, std = model.posterior.gaussian(hidden)
    normal = torch.distributions.Normal(mean, std)
    standard = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(normal, standard).sum(-1)
    found = segmentation(model)
    torch.testing.assert_close(found.latent_divergences, found.boundaries * expected)


def test_actions_lie_in_the_box_and_depend_on_the_option(model: OptionModel) -> None:
    context = model.context(*observations(4))
    z = torch.randn(4, LATENT_DIM, generator=torch.Generator().manual_seed(5))
    actions, ends = model.act(z, context), model.ends(z, context)
    assert actions.shape == (4, 7)
    assert ends.shape == (4,)
    assert bool((actions.abs() <= 1).all())
    assert bool(((ends > 0) & (ends < 1)).all())
    assert not torch.equal(actions, model.act(-z, context))
    assert not torch.equal(ends, model.ends(-z, context))


def test_what_is_saved_is_loaded(model: OptionModel, tmp_path: Path) -> None:
    images, proprioception = observations(8)
    model.init_from_data(images)
    model.posterior.init_from_data(proprioception, torch.rand(8, 7))
    model.save(tmp_path, {})
    loaded = OptionModel.load(tmp_path)
    seen, z = observations(2), torch.ones(2, LATENT_DIM)
    context = model.context(*seen)
    assert torch.equal(loaded.context(*seen), context)
    assert torch.equal(loaded.act(z, context), model.act(z, context))
    assert torch.equal(loaded.ends(z, context), model.ends(z, context))
    assert torch.equal(segmentation(loaded).latents, segmentation(model).latents)
    assert not any(weight.requires_grad for weight in loaded.parameters())


@pytest.mark.parametrize("harm", ["missing", "other"])
def test_broken_weights_are_named(model: OptionModel, tmp_path: Path, harm: str) -> None:
    model.save(tmp_path, {})
    (tmp_path / WEIGHTS).unlink()
    if harm == "other":
        (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(
        UserError, match=r"options\.safetensors.*`parrot pretrain --method options`"
    ):
        OptionModel.load(tmp_path)


@pytest.mark.parametrize("change", [{"proprioception": False}, {"feature_dim": 9}])
def test_foveal_says_what_it_needs(change: dict) -> None:
    with pytest.raises(UserError, match="foveal"):
        OptionModel(OptionArchitecture(**{**vars(ARCHITECTURE), **change}))


def test_a_picture_is_enough_where_there_is_no_proprioception() -> None:
    architecture = {**vars(ARCHITECTURE), "encoder": "fast", "proprioception": False}
    model = OptionModel(OptionArchitecture(**architecture))
    images, _ = observations(2)
    context = model.context(images)
    assert model.act(torch.zeros(2, LATENT_DIM), context).shape == (2, 7)
