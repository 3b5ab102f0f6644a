"""A decoded trajectory stays in the box, and the parts of the bound are what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_models.baselines.trajectories_model import (
    WEIGHTS,
    TrajectoryArchitecture,
    TrajectoryVAE,
    path_of,
)
from parrot_models.baselines.trajectory_bound import bound_of
from parrot_models.baselines.trajectory_policies import act_out, encoded, random_trajectories

STEPS, NUM_CHUNKS = 3, 2
ARCHITECTURE = TrajectoryArchitecture(
    image_size=48,
    proprioception=True,
    encoder="foveal",
    feature_dim=6,
    window_dim=0,
    context_dim=8,
    hidden=[16],
    latent_dim=4,
    num_steps=STEPS,
)


@pytest.fixture
def model() -> TrajectoryVAE:
    torch.manual_seed(0)
    return TrajectoryVAE(ARCHITECTURE).eval().requires_grad_(False)


@pytest.fixture
def demonstration() -> Episode:
    rng = np.random.default_rng(1)
    num_steps = STEPS * NUM_CHUNKS
    return Episode(
        index=0,
        task="pick",
        objects=("block",),
        container="",
        success=True,
        failure="",
        images=rng.integers(0, 256, (num_steps + 1, 48, 48, 3), dtype=np.uint8),
        proprioception=rng.uniform(0.1, 0.3, (num_steps + 1, 8)).astype(np.float32),
        actions=rng.uniform(-0.9, 0.9, (num_steps, 7)).astype(np.float32),
        rewards=np.zeros(num_steps, dtype=np.float32),
        object_positions=np.zeros((num_steps + 1, 3, 3), dtype=np.float32),
    )


def context_of(model: TrajectoryVAE, episode: Episode, rows: slice) -> torch.Tensor:
    images, proprioception = episode.images[rows], episode.proprioception[rows]
    return model.context(torch.from_numpy(images), torch.from_numpy(proprioception))


def seen(episode: Episode, step: int) -> dict:
    return {"image": episode.images[step], "proprioception": episode.proprioception[step]}


@pytest.mark.parametrize("size", [1.0, 1e3])
def test_what_is_decoded_lies_in_the_box(
    model: TrajectoryVAE, demonstration: Episode, size: float
) -> None:
    context = context_of(model, demonstration, slice(0, 2))
    z = size * torch.randn(2, model.latent_dim, generator=torch.Generator().manual_seed(0))
    actions = model.decode(z, context)
    assert actions.shape == (2, STEPS, 7)
    assert bool((actions.abs() <= 1.0).all())


def test_the_path_is_where_translations_have_led() -> None:
    actions = torch.rand(2, STEPS, 7, generator=torch.Generator().manual_seed(0))
    path = path_of(actions)
    assert torch.equal(path[:, 0], actions[:, 0, :3])
    torch.testing.assert_close(path[:, 1:] - path[:, :-1], actions[:, 1:, :3])


def test_the_divergence_is_that_of_the_posterior_from_the_standard_normal(
    model: TrajectoryVAE, demonstration: Episode
) -> None:
    actions = torch.from_numpy(demonstration.actions).view(NUM_CHUNKS, STEPS, 7)
    context = context_of(model, demonstration, slice(0, NUM_CHUNKS))
    bound = bound_of(model, actions, context, torch.Generator().manual_seed(0))
    expected = kl_divergence(Normal(*model.encode(actions, context)), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(bound.kl, expected)
    assert bool((bound.kl > 0).all())


def test_the_elbo_bounds_the_evidence(model: TrajectoryVAE, demonstration: Episode) -> None:
    """log p(a | s) by many draws from N(0, I), against log p(a | z, s) - KL of many z ~ q."""
    actions = torch.from_numpy(demonstration.actions[None, :STEPS])
    context = context_of(model, demonstration, slice(0, 1))
    count = 20_000
    many = (actions.expand(count, -1, -1), context.expand(count, -1))
    noise = torch.Generator().manual_seed(0)
    bound = bound_of(model, *many, noise)
    elbo = float((bound.log_prob - bound.kl).mean())
    prior_draws = model.decode(torch.randn(count, 4, generator=noise), many[1])
    density = Normal(prior_draws, model.log_std_action.exp()).log_prob(many[0]).sum((1, 2))
    evidence = float(torch.logsumexp(density.double(), 0)) - float(np.log(count))
    assert elbo < evidence


def test_a_demonstration_is_acted_out_open_loop(
    model: TrajectoryVAE, demonstration: Episode
) -> None:
    """Each chunk is what its latent decodes to where it begins; later pictures change nothing."""
    latents = encoded(model, demonstration)
    assert latents.shape == (NUM_CHUNKS, model.latent_dim)
    begins = context_of(model, demonstration, slice(0, -1, STEPS))
    expected = model.decode(latents, begins).flatten(0, 1)
    policy = act_out(model, demonstration)
    acted = [
        policy(seen(demonstration, step if step % STEPS == 0 else -1))
        for step in range(STEPS * NUM_CHUNKS)
    ]
    torch.testing.assert_close(torch.from_numpy(np.stack(acted)), expected)


def test_the_same_generator_draws_the_same_trajectories(
    model: TrajectoryVAE, demonstration: Episode
) -> None:
    def drawn(seed: int) -> np.ndarray:
        policy = random_trajectories(model, torch.Generator().manual_seed(seed))
        return np.stack([policy(seen(demonstration, 0)) for _ in range(2 * STEPS)])

    assert np.array_equal(drawn(0), drawn(0))
    assert not np.array_equal(drawn(0), drawn(1))
    assert not np.array_equal(drawn(0)[:STEPS], drawn(0)[STEPS:])  # a latent of its own each


def test_what_is_saved_is_loaded(
    model: TrajectoryVAE, demonstration: Episode, tmp_path: Path
) -> None:
    model.save(tmp_path, {})
    loaded = TrajectoryVAE.load(tmp_path)
    assert loaded.architecture == model.architecture
    assert torch.equal(encoded(loaded, demonstration), encoded(model, demonstration))


@pytest.mark.parametrize("harm", ["missing", "other"])
def test_broken_weights_are_named(model: TrajectoryVAE, tmp_path: Path, harm: str) -> None:
    model.save(tmp_path, {})
    (tmp_path / WEIGHTS).unlink()
    if harm == "other":
        (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"trajectories\.safetensors.*--method trajectories`"):
        TrajectoryVAE.load(tmp_path)


def test_a_model_that_reads_proprioception_asks_for_it(model: TrajectoryVAE) -> None:
    with pytest.raises(ValueError, match="proprioception"):
        model.context(torch.zeros(1, 48, 48, 3, dtype=torch.uint8))
