"""The stage pretrain: what it leaves, and that a kill at any point changes nothing in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_shards import write_shards

from parrot_data.envs.params import EnvironmentParams
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.scripted.collect import Collector
from parrot_data.stores.publish import sha256_file
from parrot_models.baselines import cloning
from parrot_models.baselines.behavior_cloning import BehaviorCloning
from parrot_models.pretrain import METHODS, PretrainParams, pretrain
from parrot_models.prior.batches import TransitionBatches

ENVIRONMENT = EnvironmentParams(image_size=48, proprioception=True, episode_steps=8)
NUM_EPISODES, STEPS = 6, 7
FILES = {"policy.safetensors", "config.json", "history.csv", "metrics.json", "README.md"}


class KilledError(Exception):
    """Stands for a kill."""


def params(**changes: object) -> PretrainParams:
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
        "steps": STEPS,
        "batch_size": 8,
        "learning_rate": 1e-3,
        "rollout_seed": 1000,
        "rollout_episodes": 1,
    }
    bc = cloning.CloningParams.model_validate(values | changes)
    return PretrainParams.model_construct(bc=bc)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    collector = Collector(ENVIRONMENT, {"pick": 0.5, "place": 0.5}, [2, 3], 0.1, seed=0)
    episodes = [collector.collect(index) for index in range(NUM_EPISODES)]
    collector.close()
    return write_shards(tmp_path_factory.mktemp("data") / "shards", episodes)


@pytest.fixture(autouse=True)
def few_transitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloning, "NUM_INIT", 16)
    monkeypatch.setattr(cloning, "NUM_LOGGED", 16)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def train(data: Path, out: Path, progress: Progress = silent, **changes: object) -> dict:
    return pretrain(params(**changes), ENVIRONMENT, "bc", data, out, progress=progress)


@pytest.fixture
def whole(data: Path, tmp_path: Path) -> Path:
    """A training that nobody killed."""
    metrics = train(data, tmp_path / "whole" / "bc")
    out = tmp_path / "whole" / "bc"
    assert metrics == json.loads((out / "metrics.json").read_text())
    return out


@pytest.mark.parametrize("call", [2, NUM_EPISODES, NUM_EPISODES + 3, NUM_EPISODES + STEPS - 1])
def test_a_killed_training_ends_in_the_same_bytes(
    data: Path, whole: Path, tmp_path: Path, call: int
) -> None:
    calls = iter(range(call + 1))

    def kill(_done: int, _total: int, _note: str) -> None:
        if next(calls) == call:
            raise KilledError

    out = tmp_path / "killed" / "bc"
    with pytest.raises(KilledError):
        train(data, out, kill)
    assert not out.exists()
    train(data, out)
    assert files_of(out) == files_of(whole)
    assert set(files_of(whole)) == FILES
    assert [path.name for path in out.parent.iterdir()] == ["bc"]


def test_the_config_says_what_the_policy_was_made_from(whole: Path, data: Path) -> None:
    config = json.loads((whole / "config.json").read_text())
    assert config["data_manifest_sha256"] == sha256_file(data / "manifest.json")
    assert config["params"]["environment"] == ENVIRONMENT.model_dump()
    assert BehaviorCloning.load(whole).architecture.feature_dim == 6


def test_cloning_raises_the_likelihood_of_its_data(data: Path, tmp_path: Path) -> None:
    batches = TransitionBatches(data, tmp_path / "cache", 0.34)
    batch = batches.sample(64, cloning.step_generator(0, 0))

    def likelihood(steps: int) -> float:
        out = tmp_path / str(steps)
        train(data, out, steps=steps, learning_rate=5e-3, precision="fp32")
        policy = BehaviorCloning.load(out)
        with torch.inference_mode():
            context = policy.context(batch.images, batch.proprioception)
            return float(policy.log_prob(batch.actions, context).mean())

    assert likelihood(60) > likelihood(1) + 1.0


def test_an_unknown_method_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no method 'vae' is pre-trained; choose one of bc"):
        pretrain(params(), ENVIRONMENT, "vae", data, tmp_path / "out")
    assert not (tmp_path / "out.partial").exists()


def test_every_method_has_its_part_of_the_section() -> None:
    assert list(PretrainParams.model_fields) == list(METHODS)
