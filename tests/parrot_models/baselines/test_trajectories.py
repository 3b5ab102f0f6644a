"""A decoded trajectory keeps to its bounds, the bound is one, and padding is nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from part_params import part_params
from some_shards import write_demonstrations
from torch.distributions import Normal, kl_divergence

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.progress import silent, unheard
from parrot_models.baselines import trajectories_training
from parrot_models.baselines.episodes import TrajectoryBatch, TrajectoryBatches
from parrot_models.baselines.params import TrajectoryParams
from parrot_models.baselines.trajectories_model import (
    WEIGHTS,
    TrajectoryArchitecture,
    TrajectoryVAE,
    path_of,
)
from parrot_models.baselines.trajectories_training import (
    bound_metrics,
    bound_of,
    error_metrics,
    fit_model,
    make_model,
    trajectory_loss,
)
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.transitions import Batch
from tests.specs import SPECS, encoder_for, some_actions, some_observations, spec_of

STEPS, NUM = 3, 5
every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def model_of(spec: EpisodeSpec) -> TrajectoryVAE:
    torch.manual_seed(0)
    architecture = TrajectoryArchitecture.model_validate(
        {
            "spec": spec, "encoder": encoder_for(spec), "context_dim": 8, "hidden": [16],
            "latent_dim": 4, "num_steps": STEPS,
        }
    )  # fmt: skip
    model = TrajectoryVAE(architecture)
    model.init_from_data(some_observations(spec, 50), some_actions(spec, 50))
    return model.eval().requires_grad_(False)


def batch_of(spec: EpisodeSpec, lengths: list[int]) -> TrajectoryBatch:
    actions = some_actions(spec, STEPS * len(lengths)).view(len(lengths), STEPS, -1)
    is_step = torch.arange(STEPS) < torch.tensor(lengths)[:, None]
    first = Batch(some_observations(spec, len(lengths)), actions * is_step[..., None])
    return TrajectoryBatch(first, is_step)


@pytest.mark.parametrize("size", [1.0, 1e3])
@every_spec
def test_what_is_decoded_keeps_to_its_bounds(spec: EpisodeSpec, size: float) -> None:
    model = model_of(spec)
    z = size * torch.randn(NUM, model.latent_dim, generator=torch.Generator().manual_seed(0))
    actions = model.decode(z, model.context(some_observations(spec, NUM)))
    assert actions.shape == (NUM, STEPS, spec.action.dim)
    if spec.action.low is not None:
        assert bool((actions.abs() <= 1.0).all())
    elif size > 1.0:
        assert float(model.action_scale.normalised(actions).abs().max()) > 1.0


def test_actions_are_decoded_in_the_units_of_the_robot() -> None:
    """Whatever these are: the same data in others make the same model."""
    decoded = []
    for low, high in ((-1.0, 1.0), (10.0, 50.0)):
        spec = spec_of(vectors={"state": 4}, bounds=(low, high))
        model, batch = model_of(spec), batch_of(spec, [STEPS] * NUM)
        unit = model.action_scale.restored(batch_of(SPECS["vectors alone"], [STEPS] * NUM).actions)
        context = model.context(batch.observations)
        z, _ = model.encode(unit, batch.is_step, context)
        decoded.append((model.decode(z, context) - low) / (high - low))
    torch.testing.assert_close(*decoded, rtol=1e-4, atol=1e-4)


def test_the_path_is_where_actions_have_led() -> None:
    actions = torch.rand(2, STEPS, 7, generator=torch.Generator().manual_seed(0))
    path = path_of(actions)
    assert torch.equal(path[:, 0], actions[:, 0])
    torch.testing.assert_close(path[:, 1:] - path[:, :-1], actions[:, 1:])


@every_spec
def test_the_divergence_is_that_of_the_posterior_from_the_standard_normal(
    spec: EpisodeSpec,
) -> None:
    model, batch = model_of(spec), batch_of(spec, [3, 1, 2])
    context = model.context(batch.observations)
    bound = bound_of(model, batch, context, torch.Generator().manual_seed(0))
    posterior = Normal(*model.encode(batch.actions, batch.is_step, context))
    torch.testing.assert_close(bound.kl, kl_divergence(posterior, Normal(0.0, 1.0)).sum(-1))
    assert bool((bound.kl > 0).all())


@pytest.mark.parametrize("length", [1, STEPS])
def test_the_elbo_bounds_the_evidence(length: int) -> None:
    """log p(a | s) by many draws from N(0, I), against log p(a | z, s) - KL of many z ~ q."""
    spec, count = SPECS["vectors alone"], 20_000
    model, one = model_of(spec), batch_of(spec, [length])
    actions = one.actions.expand(count, -1, -1)
    seen = {name: values.expand(count, -1) for name, values in one.observations.items()}
    many = TrajectoryBatch(Batch(seen, actions), one.is_step.expand(count, -1))
    context, noise = model.context(seen), torch.Generator().manual_seed(0)
    bound = bound_of(model, many, context, noise)
    elbo = float((bound.log_prob - bound.kl).mean())
    drawn = model.decode_normalised(torch.randn(count, 4, generator=noise), context)
    normalised = model.action_scale.normalised(actions)
    density = Normal(drawn, model.log_std_action.exp()).log_prob(normalised)[:, :length].sum((1, 2))
    evidence = float(torch.logsumexp(density.double(), 0)) - float(np.log(count))
    assert elbo < evidence


@every_spec
def test_what_lies_beyond_an_end_changes_nothing(spec: EpisodeSpec) -> None:
    model, batch = model_of(spec), batch_of(spec, [3, 1, 2, 1])
    junk = torch.where(batch.is_step[..., None], batch.actions, torch.tensor(123.0))
    other = replace(batch, first=replace(batch.first, actions=junk))
    losses, metrics = [], []
    for each in (batch, other):
        losses.append(trajectory_loss(model, each, torch.Generator().manual_seed(0), 0.2, "fp32"))
        metrics.append({**bound_metrics(model, [each], 0, "fp32"), **error_metrics(model, [each])})
    assert torch.equal(*losses)
    assert metrics[0] == metrics[1]


def test_a_loss_is_nats_a_dimension_whatever_lengths_are() -> None:
    """A bound over all trajectories, by the numbers in all: no short one weighs more."""
    spec = SPECS["vectors alone"]
    model, batch = model_of(spec), batch_of(spec, [3, 1])
    context = model.context(batch.observations)
    bound = bound_of(model, batch, context, torch.Generator().manual_seed(0))
    loss = trajectory_loss(model, batch, torch.Generator().manual_seed(0), 0.2, "fp32")
    total = (bound.log_prob + bound.path_log_prob - 0.2 * bound.kl).sum()
    torch.testing.assert_close(loss, -total / (4 * spec.action.dim))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    spec = SPECS["two images, unbounded"]
    model, batch = model_of(spec), batch_of(spec, [3, 2])
    model.save(tmp_path, {})
    loaded = TrajectoryVAE.load(tmp_path)
    assert loaded.architecture == model.architecture
    contexts = [each.context(batch.observations) for each in (model, loaded)]
    assert torch.equal(*contexts)
    z = torch.ones(2, model.latent_dim)
    assert torch.equal(loaded.decode(z, contexts[0]), model.decode(z, contexts[0]))


@pytest.mark.parametrize("harm", ["missing", "other"])
def test_broken_weights_are_named(tmp_path: Path, harm: str) -> None:
    model_of(SPECS["vectors alone"]).save(tmp_path, {})
    (tmp_path / WEIGHTS).unlink()
    if harm == "other":
        (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"trajectories\.safetensors.*--method trajectories`"):
        TrajectoryVAE.load(tmp_path)


@pytest.mark.parametrize(("chunk_steps", "bounds"), [(4, None), (12, (-1.0, 1.0))])
def test_a_few_trajectories_are_learned_by_heart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_steps: int, bounds
) -> None:
    monkeypatch.setattr(trajectories_training, "NUM_INIT", 64)
    monkeypatch.setattr(trajectories_training, "NUM_LOGGED", 16)
    spec = spec_of(vectors={"state": 5}, action_dim=3, bounds=bounds)
    data = write_demonstrations(tmp_path / "data", spec, (5, 8, 12, 6, 9, 7))
    batches = TransitionBatches(data, tmp_path / "cache", 0.34)
    params = TrajectoryParams.model_validate(
        part_params(
            "trajectories", encoder=encoder_for(spec), chunk_steps=chunk_steps, hidden=[64],
            latent_dim=16, steps=200, kl_weight=1e-3, batch_size=16, learning_rate=5e-3,
            precision="fp32", log_every=1000,
        )
    )  # fmt: skip
    torch.manual_seed(0)
    model = make_model(params, spec)
    fit_model(params, model, batches, tmp_path, silent, unheard)
    some = TrajectoryBatches(batches, chunk_steps).sample(64, np.random.default_rng(0))
    found = error_metrics(model, [some])
    spread = model.action_scale.normalised(some.actions)[some.is_step].std(0)
    assert set(found["action_error"]) == {str(dim) for dim in range(spec.action.dim)}
    for dim, error in enumerate(found["action_error"].values()):
        assert error < 0.35 * float(spread[dim])
