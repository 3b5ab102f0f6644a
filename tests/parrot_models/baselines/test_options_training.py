"""Discovering options: a kill changes nothing, and the bound rises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_shards import write_shards

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.scripts.collect import Collector
from parrot_models.baselines import options_training
from parrot_models.baselines.episodes import EpisodeBatches, augment_episodes
from parrot_models.baselines.option_bound import bound_parts, option_loss
from parrot_models.baselines.options_model import OptionModel
from parrot_models.baselines.options_training import OptionParams, make_options
from parrot_models.pretrain import PretrainParams, pretrain
from parrot_models.training import keypoint_training
from parrot_models.training.augment import augment, backdrop_of
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.params import KeypointParams
from parrot_models.training.transitions import Batch

EPISODE_STEPS = 8
ENVIRONMENT = EnvironmentParams(image_size=48, proprioception=True, episode_steps=EPISODE_STEPS)
NUM_EPISODES, STEPS = 6, 7
KEYPOINTS = KeypointParams(
    num_keypoints=4, width=4, foreground_weight=30.0, steps=3, batch_size=4, learning_rate=2e-3
)
FIRST_CALL = NUM_EPISODES + KEYPOINTS.steps  # of the progress, that is told of options
FILES = {
    "options.safetensors",
    "keypoints.safetensors",
    "config.json",
    "history.csv",
    "metrics.json",
    "README.md",
    "SHA256SUMS",
}


class KilledError(Exception):
    """Stands for a kill."""


def params(**changes: object) -> OptionParams:
    values = {
        "seed": 0,
        "held_out_fraction": 0.34,
        "augment": True,
        "precision": "bf16",
        "gradient_clip": 1.0,
        "log_every": 3,
        "checkpoint_every": 2,
        "encoder": "foveal",
        "feature_dim": 6,
        "window_dim": 0,
        "context_dim": 8,
        "hidden": [16],
        "latent_dim": 3,
        "posterior_width": 8,
        "pictures_per_episode": 3,
        "option_steps": 3.0,
        "kl_weight": 0.1,
        "steps": STEPS,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "rollout_seed": 1000,
        "rollout_episodes": 1,
        "probe_scenes": 10,
        "demonstrations": 1,
    }
    return OptionParams.model_validate(values | changes)


def collected(length: int, first: int, count: int) -> list:
    environment = ENVIRONMENT.model_copy(update={"episode_steps": length})
    collector = Collector(environment, {"pick": 0.5, "place": 0.5}, [2, 3], 0.1, seed=0)
    episodes = [collector.collect(index) for index in range(first, first + count)]
    collector.close()
    return episodes


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    episodes = collected(EPISODE_STEPS, 0, NUM_EPISODES)
    return write_shards(tmp_path_factory.mktemp("data") / "shards", episodes)


@pytest.fixture
def batches(data: Path, tmp_path: Path) -> TransitionBatches:
    return TransitionBatches(data, tmp_path / "cache", 0.34)


@pytest.fixture(autouse=True)
def few_transitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypoint_training, "NUM_INIT", 16)
    monkeypatch.setattr(options_training, "NUM_INIT", 16)
    monkeypatch.setattr(options_training, "NUM_LOGGED", 4)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def train(data: Path, out: Path, progress: Progress = silent) -> dict:
    section = PretrainParams.model_construct(options=params())
    return pretrain(section, KEYPOINTS, ENVIRONMENT, "options", data, out, progress=progress)


@pytest.mark.parametrize("call", [FIRST_CALL, FIRST_CALL + 3, FIRST_CALL + STEPS - 1])
def test_a_killed_training_ends_in_the_same_bytes(data: Path, tmp_path: Path, call: int) -> None:
    calls = iter(range(call + 1))

    def kill(_done: int, _total: int, _note: str) -> None:
        if next(calls) == call:
            raise KilledError

    whole, out = tmp_path / "whole" / "options", tmp_path / "killed" / "options"
    metrics = train(data, whole)
    assert metrics == json.loads((whole / "metrics.json").read_text())
    with pytest.raises(KilledError):
        train(data, out, kill)
    train(data, out)
    assert files_of(out) == files_of(whole)
    assert set(files_of(whole)) == FILES
    assert OptionModel.load(whole).latent_dim == 3


def fitted(batches: TransitionBatches, work: Path, **changes: object) -> OptionModel:
    work.mkdir()
    values = params(precision="fp32", learning_rate=5e-3, log_every=1000, **changes)
    torch.manual_seed(0)
    model = make_options(values, ENVIRONMENT)
    options_training.fit_options(values, model, batches, work, silent)
    return model.eval().requires_grad_(False)


def test_training_raises_the_bound_and_keeps_the_length_of_options(
    batches: TransitionBatches, tmp_path: Path
) -> None:
    every = [EpisodeBatches(batches).sample(64, EPISODE_STEPS, np.random.default_rng(0))]
    early, late = (
        bound_parts(fitted(batches, tmp_path / str(steps), steps=steps), every, 0, "fp32")
        for steps in (1, 120)
    )
    assert late["bound_per_dim"] > early["bound_per_dim"] + 0.2
    assert late["option_steps"] == pytest.approx(
        EPISODE_STEPS / (1 + (EPISODE_STEPS - 1) / 3.0), rel=0.25
    )


def test_the_head_of_endings_alone_learns_from_endings(batches: TransitionBatches) -> None:
    model = make_options(params(), ENVIRONMENT)
    batch = EpisodeBatches(batches).sample(4, 3, np.random.default_rng(0))

    def gradients() -> dict[str, torch.Tensor]:
        model.zero_grad()
        generator = torch.Generator().manual_seed(0)
        loss = option_loss(
            model, batch, generator, kl_weight=0.1, option_steps=3.0, precision="fp32"
        )
        loss.backward()
        return {name: p.grad.clone() for name, p in model.named_parameters()}

    before = gradients()
    with torch.no_grad():
        model.end[-1].bias += 1.0
    after = gradients()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("end.")}


def test_pictures_and_steps_are_of_their_episode(batches: TransitionBatches) -> None:
    episodes = EpisodeBatches(batches)
    batch = episodes.sample(16, 3, np.random.default_rng(0))
    every = next(episodes.held_out(100))
    data = batches.transitions
    assert bool((batch.steps.diff() > 0).all())
    held_out = {bytes(a) for a in every.actions.numpy()}
    assert len(held_out) == len(every.actions) == 2
    assert every.images.shape[:2] == (2, EPISODE_STEPS)
    for row in range(16):
        first = int(np_first(data.actions, batch.actions[row, 0]))
        rows = first + batch.steps[row].numpy()
        assert (data.images[rows] == batch.images[row].numpy()).all()
        assert (data.proprioception[first : first + 8] == batch.proprioception[row].numpy()).all()
        assert bytes(batch.actions[row].numpy()) not in held_out
    steps = batch.at_steps(batch.actions).view(16, 3, 7)
    assert torch.equal(steps[5, 1], batch.actions[5, batch.steps[5, 1]])


def np_first(actions: object, action: torch.Tensor) -> int:
    return (actions == action.numpy()).all(1).nonzero()[0][0]


def test_episodes_are_augmented_as_their_transitions_are(batches: TransitionBatches) -> None:
    batch = EpisodeBatches(batches).sample(4, EPISODE_STEPS, np.random.default_rng(0))
    values = (batch.images, batch.proprioception, batch.actions)
    flat = Batch(*(value.flatten(0, 1) for value in values))
    backdrop = backdrop_of(flat.images)
    expected = augment(flat, np.random.default_rng(1), backdrop)
    augmented = augment_episodes(batch, np.random.default_rng(1), backdrop)
    assert torch.equal(augmented.images.flatten(0, 1), expected.images)
    assert torch.equal(augmented.proprioception.flatten(0, 1), expected.proprioception)
    assert torch.equal(augmented.actions.flatten(0, 1), expected.actions)
    assert torch.equal(augmented.steps, batch.steps)


def test_episodes_of_several_lengths_are_refused(tmp_path: Path) -> None:
    episodes = [*collected(4, 0, 2), *collected(5, 2, 2)]
    data = write_shards(tmp_path / "shards", episodes)
    mixed = TransitionBatches(data, tmp_path / "cache", 0.3)
    with pytest.raises(UserError, match=r"episodes of \[4, 5\] steps"):
        EpisodeBatches(mixed)
