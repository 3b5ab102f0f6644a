"""Trajectories are learned: a small set by heart, and the same bytes killed or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_shards import write_shards

from parrot_data.episodes.episode import Episode
from parrot_data.progress import Progress, silent
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.scripts.collect import Collector
from parrot_models.baselines import trajectories_training as trajectory_training
from parrot_models.baselines.demonstrations import reproduced_rate
from parrot_models.baselines.trajectories_model import TrajectoryVAE
from parrot_models.baselines.trajectories_training import TrajectoryParams, fit_model, make_model
from parrot_models.baselines.trajectory_batches import TrajectoryBatches
from parrot_models.baselines.trajectory_bound import error_metrics
from parrot_models.judging.rollouts import SelectAction
from parrot_models.pretrain import PretrainParams, pretrain
from parrot_models.training import keypoint_training
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.params import KeypointParams

ENVIRONMENT = EnvironmentParams(image_size=48, proprioception=True, episode_steps=8)
NUM_EPISODES, STEPS = 6, 5
KEYPOINTS = KeypointParams(
    num_keypoints=4, width=4, foreground_weight=30.0, steps=3, batch_size=4, learning_rate=2e-3
)
FILES = {
    "trajectories.safetensors",
    "keypoints.safetensors",
    "config.json",
    "history.csv",
    "metrics.json",
    "README.md",
    "SHA256SUMS",
}


class KilledError(Exception):
    """Stands for a kill."""


def params(**changes: object) -> TrajectoryParams:
    values = {
        "seed": 0,
        "held_out_fraction": 0.34,
        "augment": True,
        "precision": "bf16",
        "gradient_clip": 1.0,
        "log_every": 3,
        "checkpoint_every": 2,
        "chunk_steps": 4,
        "encoder": "foveal",
        "feature_dim": 6,
        "window_dim": 0,
        "context_dim": 8,
        "hidden": [16],
        "latent_dim": 4,
        "kl_weight": 0.1,
        "steps": STEPS,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "rollout_seed": 1000,
        "rollout_episodes": 1,
        "probe_scenes": 10,
        "demonstrations": 1,
    }
    return TrajectoryParams.model_validate(values | changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    collector = Collector(ENVIRONMENT, {"pick": 0.5, "place": 0.5}, [2, 3], 0.1, seed=0)
    episodes = [collector.collect(index) for index in range(NUM_EPISODES)]
    collector.close()
    return write_shards(tmp_path_factory.mktemp("data") / "shards", episodes)


@pytest.fixture(autouse=True)
def few_trajectories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypoint_training, "NUM_INIT", 16)
    monkeypatch.setattr(trajectory_training, "NUM_INIT", 16)
    monkeypatch.setattr(trajectory_training, "NUM_LOGGED", 16)


def train(data: Path, out: Path, progress: Progress = silent) -> None:
    values = PretrainParams.model_construct(trajectories=params())
    pretrain(values, KEYPOINTS, ENVIRONMENT, "trajectories", data, out, progress=progress)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_killed_training_ends_in_the_same_bytes(data: Path, tmp_path: Path) -> None:
    calls = iter(range(100))

    def kill(_done: int, _total: int, _note: str) -> None:
        if next(calls) == NUM_EPISODES + KEYPOINTS.steps + 2:
            raise KilledError

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(data, whole)
    assert files_of(whole).keys() == FILES
    with pytest.raises(KilledError):
        train(data, killed, kill)
    assert not killed.exists()
    train(data, killed)
    assert files_of(killed) == files_of(whole)
    assert TrajectoryVAE.load(killed).num_steps == params().chunk_steps


@pytest.mark.parametrize("chunk_steps", [4, ENVIRONMENT.episode_steps])
def test_a_few_trajectories_are_learned_by_heart(
    data: Path, tmp_path: Path, chunk_steps: int
) -> None:
    batches = TransitionBatches(data, tmp_path / "cache", 0.34)
    values = params(
        augment=False, chunk_steps=chunk_steps, hidden=[64], latent_dim=16, steps=400,
        kl_weight=1e-3, batch_size=16, learning_rate=5e-3, precision="fp32", log_every=1000,
    )  # fmt: skip
    model = make_model(values, ENVIRONMENT)
    some = TrajectoryBatches(batches, chunk_steps).sample(64, np.random.default_rng(0))
    before = error_metrics(model, [some])
    fit_model(values, model, batches, tmp_path, silent)
    after = error_metrics(model, [some])
    assert after["path_error_cm"] < 0.1 * before["path_error_cm"]
    assert max(after["action_error"].values()) < 0.1 < max(before["action_error"].values())


def test_recorded_actions_succeed_again_in_their_scene_and_others_do_not() -> None:
    """An episode is a function of scene and actions: else nothing could be reproduced open loop."""
    environment = EnvironmentParams(image_size=48, proprioception=True, episode_steps=25)

    def again(episode: Episode) -> SelectAction:
        actions = iter(episode.actions)
        return lambda _observation: next(actions)

    def backwards(episode: Episode) -> SelectAction:
        actions = iter(-episode.actions)
        return lambda _observation: next(actions)

    assert reproduced_rate(environment, "pick", 5, 2, again) == 1.0
    assert reproduced_rate(environment, "pick", 5, 2, backwards) == 0.0
