"""Options: z holds from one boundary to the next, padding is nothing, and the bound rises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from part_params import part_params
from some_shards import write_demonstrations
from torch import Tensor
from torch.nn import functional

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.progress import silent, unheard
from parrot_models.baselines import options_training
from parrot_models.baselines.episodes import EpisodeBatch, EpisodeBatches
from parrot_models.baselines.options_model import (
    WEIGHTS,
    OptionArchitecture,
    OptionModel,
    Segmentation,
)
from parrot_models.baselines.options_training import bound_parts, option_loss
from parrot_models.baselines.params import OptionParams
from parrot_models.training.batches import TransitionBatches
from tests.specs import SPECS, encoder_for, some_actions, some_observations, spec_of

LATENT_DIM = 3
LENGTHS = (12, 5, 12, 1, 7, 3, 12, 2)
every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
TABLETOP_LIKE = SPECS["tabletop-like"]
FOVEAL = {"kind": "foveal", "feature_dim": 10, "window_dim": 4}


def model_of(spec: EpisodeSpec, encoder: dict | None = None) -> OptionModel:
    torch.manual_seed(0)
    architecture = OptionArchitecture.model_validate(
        {
            "spec": spec, "encoder": encoder or encoder_for(spec), "context_dim": 8,
            "hidden": [16], "latent_dim": LATENT_DIM, "posterior_width": 8,
        }
    )  # fmt: skip
    model = OptionModel(architecture)
    model.init_from_data(some_observations(spec, 50), some_actions(spec, 50))
    return model.eval().requires_grad_(False)


def batch_of(spec: EpisodeSpec, lengths: tuple[int, ...] = LENGTHS) -> EpisodeBatch:
    """Episodes of these lengths, of which two steps are seen where there are as many."""
    num, steps = len(lengths), max(lengths)
    flat = some_observations(spec, num * steps)
    is_step = torch.arange(steps) < torch.tensor(lengths)[:, None]
    filled = {name: flat[name].view(num, steps, -1) * is_step[..., None] for name in spec.vectors}
    actions = some_actions(spec, num * steps).view(num, steps, -1) * is_step[..., None]
    at = torch.tensor([[0, min(1, length - 1)] for length in lengths])
    is_seen = torch.tensor([[True, length > 1] for length in lengths])
    images = {
        name: flat[name][: 2 * num].view(num, 2, *image.shape)
        for name, image in spec.images.items()
    }
    return EpisodeBatch(filled, actions, is_step, at, is_seen, images)


def segmentation(model: OptionModel, batch: EpisodeBatch, seed: int | None = 3) -> Segmentation:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return model.posterior(batch.vectors, batch.actions, batch.is_step, generator)


def loss_of(model: OptionModel, batch: EpisodeBatch) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return option_loss(model, batch, generator, kl_weight=0.1, option_steps=3.0, precision="fp32")


@pytest.mark.parametrize("seed", [3, None])
@every_spec
def test_an_option_begins_at_step_0_and_z_changes_where_the_next_begins_only(
    spec: EpisodeSpec, seed: int | None
) -> None:
    model, batch = model_of(spec), batch_of(spec)
    model.posterior.boundary_head.bias += 1.0  # or the likelier b were 0 everywhere
    found = segmentation(model, batch, seed)
    begins, is_step = found.boundaries, batch.is_step
    assert bool((begins[:, 0] == 1).all())
    assert set(begins.flatten().tolist()) == {0.0, 1.0}
    changes = (found.latents[:, 1:] != found.latents[:, :-1]).any(-1)
    assert torch.equal(changes, begins[:, 1:] == 1)
    # Only where an option begins does it cost anything, and none begins beyond the end.
    assert torch.equal(found.latent_divergences > 0, begins == 1)
    for values in (begins, found.probabilities, found.latent_divergences):
        assert not values[~is_step].any()


def test_boundaries_are_as_frequent_as_their_probabilities_say() -> None:
    model, batch = model_of(TABLETOP_LIKE), batch_of(TABLETOP_LIKE)
    drawn = [segmentation(model, batch, seed).boundaries for seed in range(300)]
    error = (torch.stack(drawn).mean(0) - segmentation(model, batch).probabilities).abs().max()
    assert float(error) < 0.18  # six standard errors of the widest


def test_boundaries_learn_from_what_the_options_lead_to() -> None:
    model = model_of(TABLETOP_LIKE).requires_grad_(True)
    segmentation(model, batch_of(TABLETOP_LIKE)).latents.square().sum().backward()
    gradient = model.posterior.boundary_head.weight.grad
    assert gradient is not None
    assert float(gradient.abs().sum()) > 0


def test_the_divergence_of_the_rate_is_zero_at_that_rate_and_nowhere_else() -> None:
    batch = batch_of(TABLETOP_LIKE)
    found = segmentation(model_of(TABLETOP_LIKE), batch)
    rate = float(found.probabilities[:, 1:][batch.is_step[:, 1:]].mean())
    assert float(found.rate_divergence(rate)) == pytest.approx(0.0, abs=1e-6)
    assert float(found.rate_divergence(0.5 * rate)) > 0.01
    assert float(found.rate_divergence(0.5 * (1 + rate))) > 0.01


def test_the_same_generator_finds_the_same_options() -> None:
    model, batch = model_of(TABLETOP_LIKE), batch_of(TABLETOP_LIKE)
    first, second = segmentation(model, batch), segmentation(model, batch)
    assert torch.equal(first.latents, second.latents)
    assert not torch.equal(first.latents, segmentation(model, batch, 4).latents)


def test_the_divergence_of_a_latent_is_that_of_torch() -> None:
    spec = SPECS["vectors alone"]
    model, batch = model_of(spec), batch_of(spec, (9, 9))
    posterior = model.posterior
    (inputs,) = posterior.scale(
        {"of_state": batch.vectors["state"], "of_goal": batch.vectors["goal"],
         "actions": batch.actions}
    )  # fmt: skip
    mean, std = posterior.gaussian(posterior.gru(inputs)[0])
    normal = torch.distributions.Normal(mean, std)
    standard = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(normal, standard).sum(-1)
    found = segmentation(model, batch)
    torch.testing.assert_close(found.latent_divergences, found.boundaries * expected)


def padded(batch: EpisodeBatch, more: int, value: float) -> EpisodeBatch:
    """The same episodes, filled up with some number to more steps, and one more seen of none."""

    def longer(values: Tensor) -> Tensor:
        values = torch.where(batch.is_step[..., None], values, torch.tensor(value))
        return functional.pad(values, (0, 0, 0, more), value=value)

    def wider(images: Tensor) -> Tensor:
        extra = torch.full_like(images[:, :1], 200)
        return torch.cat([images, extra], 1)

    vectors: Mapping[str, Tensor] = {k: longer(values) for k, values in batch.vectors.items()}
    return EpisodeBatch(
        vectors=vectors,
        actions=longer(batch.actions),
        is_step=functional.pad(batch.is_step, (0, more)),
        steps=functional.pad(batch.steps, (0, 1), value=batch.is_step.shape[1] + more - 1),
        is_seen=functional.pad(batch.is_seen, (0, 1)),
        images={name: wider(images) for name, images in batch.images.items()},
    )


@pytest.mark.parametrize(("more", "value"), [(0, 50.0), (1, 0.0), (30, -3.0)])
@every_spec
def test_padding_changes_nothing(spec: EpisodeSpec, more: int, value: float) -> None:
    model, batch = model_of(spec), batch_of(spec)
    longer = padded(batch, more, value)
    torch.testing.assert_close(loss_of(model, longer), loss_of(model, batch))
    parts = [bound_parts(model, [each], 0, "fp32") for each in (batch, longer)]
    assert parts[1] == pytest.approx(parts[0], rel=1e-5)


@every_spec
def test_what_is_padded_teaches_nothing(spec: EpisodeSpec) -> None:
    gradients = []
    for batch in (batch_of(spec), padded(batch_of(spec), 9, 7.0)):
        model = model_of(spec).requires_grad_(True)
        loss_of(model, batch).backward()
        gradients.append({k: p.grad for k, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-5)


def test_an_episode_of_one_step_is_one_option() -> None:
    spec = SPECS["vectors alone"]
    model, batch = model_of(spec), batch_of(spec, (1, 1))
    assert bool(loss_of(model, batch).isfinite())
    parts = bound_parts(model, [batch], 0, "fp32")
    assert parts["options_per_episode"] == parts["option_steps"] == 1.0
    assert parts["end_log_prob"] == 0.0


def test_the_bound_counts_every_step_alike() -> None:
    """Together, of two episodes, as apart, weighed by their lengths."""
    spec = SPECS["vectors alone"]
    model, batch = model_of(spec), batch_of(spec, (9, 3))
    every = torch.arange(9).expand(2, -1)
    batch = replace(batch, steps=every, is_seen=batch.is_step)
    first = replace(
        batch,
        vectors={name: values[:1] for name, values in batch.vectors.items()},
        actions=batch.actions[:1], is_step=batch.is_step[:1], steps=every[:1],
        is_seen=batch.is_step[:1],
    )  # fmt: skip
    second = replace(
        batch,
        vectors={name: values[1:, :3] for name, values in batch.vectors.items()},
        actions=batch.actions[1:, :3], is_step=batch.is_step[1:, :3], steps=every[1:, :3],
        is_seen=batch.is_step[1:, :3],
    )  # fmt: skip
    means = []
    for each in (first, second):
        found = model.posterior(each.vectors, each.actions, each.is_step, None)
        context = model.context(each.seen())
        log_prob = model.log_prob(each.at_steps(each.actions), found.latents[0], context)
        means.append((each.weights() * log_prob).sum())
    found = model.posterior(batch.vectors, batch.actions, batch.is_step, None)
    context = model.context(batch.seen())
    both = model.log_prob(batch.at_steps(batch.actions), batch.at_steps(found.latents), context)
    torch.testing.assert_close((batch.weights() * both).sum(), sum(means))


@every_spec
def test_actions_keep_to_their_bounds_and_depend_on_the_option(spec: EpisodeSpec) -> None:
    model = model_of(spec)
    context = model.context(some_observations(spec, 4))
    z = torch.randn(4, LATENT_DIM, generator=torch.Generator().manual_seed(5))
    actions, ends = model.act(z, context), model.ends(z, context)
    assert actions.shape == (4, spec.action.dim)
    assert ends.shape == (4,)
    if spec.action.low is not None:
        assert bool((actions.abs() <= 1).all())
    assert bool(((ends > 0) & (ends < 1)).all())
    assert not torch.equal(actions, model.act(-z, context))
    assert not torch.equal(ends, model.ends(-z, context))


@every_spec
def test_what_is_saved_is_loaded(spec: EpisodeSpec, tmp_path: Path) -> None:
    model, batch = model_of(spec), batch_of(spec)
    model.save(tmp_path, {})
    loaded = OptionModel.load(tmp_path)
    seen, z = some_observations(spec, 2), torch.ones(2, LATENT_DIM)
    context = model.context(seen)
    assert torch.equal(loaded.context(seen), context)
    assert torch.equal(loaded.act(z, context), model.act(z, context))
    assert torch.equal(loaded.ends(z, context), model.ends(z, context))
    assert torch.equal(segmentation(loaded, batch).latents, segmentation(model, batch).latents)
    assert not any(weight.requires_grad for weight in loaded.parameters())


@pytest.mark.parametrize("harm", ["missing", "other"])
def test_broken_weights_are_named(tmp_path: Path, harm: str) -> None:
    model_of(SPECS["vectors alone"]).save(tmp_path, {})
    (tmp_path / WEIGHTS).unlink()
    if harm == "other":
        (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(
        UserError, match=r"options\.safetensors.*`parrot pretrain --method options`"
    ):
        OptionModel.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("one image", FOVEAL), ("tabletop-like", {**FOVEAL, "feature_dim": 9})],
)
def test_foveal_says_what_it_needs(name: str, encoder: dict) -> None:
    with pytest.raises(UserError, match="foveal"):
        model_of(SPECS[name], encoder)


def fitted(
    batches: TransitionBatches, spec: EpisodeSpec, work: Path, **changes: object
) -> OptionModel:
    work.mkdir()
    params = OptionParams.model_validate(
        part_params(
            "options", encoder=encoder_for(spec), precision="fp32", learning_rate=5e-3,
            log_every=1000, batch_size=8, **changes,
        )
    )  # fmt: skip
    torch.manual_seed(0)
    model = options_training.make_options(params, spec)
    options_training.fit_options(params, model, batches, work, silent, unheard)
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), None])
def test_training_raises_the_bound_and_keeps_the_length_of_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounds
) -> None:
    monkeypatch.setattr(options_training, "NUM_INIT", 64)
    monkeypatch.setattr(options_training, "NUM_LOGGED", 4)
    spec = spec_of(vectors={"state": 5}, action_dim=3, bounds=bounds)
    lengths = (8, 8, 12, 6, 10, 8)
    data = write_demonstrations(tmp_path / "data", spec, lengths)
    batches = TransitionBatches(data, tmp_path / "cache", 0.34)
    every = EpisodeBatches(batches).sample(64, 12, np.random.default_rng(0))
    early, late = (
        bound_parts(fitted(batches, spec, tmp_path / str(steps), steps=steps), [every], 0, "fp32")
        for steps in (1, 120)
    )
    assert late["bound_per_dim"] > early["bound_per_dim"] + 0.2
    mean_length = float(every.is_step.sum(1).float().mean())
    expected = mean_length / (1 + (mean_length - 1) / 3.0)
    assert late["option_steps"] == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("name", ["vectors alone", "tabletop-like"])
def test_the_head_of_endings_alone_learns_from_endings(name: str) -> None:
    model, batch = model_of(SPECS[name]).requires_grad_(True), batch_of(SPECS[name])

    def gradients() -> dict[str, Tensor]:
        model.zero_grad()
        loss_of(model, batch).backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    before = gradients()
    with torch.no_grad():
        model.end[-1].bias += 1.0
    after = gradients()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("end.")}
