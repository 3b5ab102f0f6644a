"""The stage pretrain: what it leaves, and that a kill at any point changes nothing in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from small_shards import write_shards

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.publish import sha256_file
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.scripts.collect import Collector
from parrot_models.baselines import bc_training as cloning
from parrot_models.baselines import vae_training as beta_vae_training
from parrot_models.baselines.bc_model import BehaviorCloning
from parrot_models.baselines.keypoints import load_keypoints
from parrot_models.methods.bc_sac import CLONE
from parrot_models.networks.device import CPU
from parrot_models.pretrain import METHODS, PretrainParams, pretrain
from parrot_models.rl.part_folder import part_sha256
from parrot_models.training import keypoint_training
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.params import KeypointParams

ENVIRONMENT = EnvironmentParams(image_size=48, proprioception=True, episode_steps=8)
NUM_EPISODES, STEPS = 6, 7
KEYPOINTS = KeypointParams(
    num_keypoints=4, width=4, foreground_weight=30.0, steps=3, batch_size=4, learning_rate=2e-3
)
# The calls of the progress: decoding, for "bc" keypoints, then the model.
FIRST_CALL, FIRST_OF_CLONE = NUM_EPISODES, NUM_EPISODES + KEYPOINTS.steps
FILES = {"config.json", "history.csv", "metrics.json", "README.md", "SHA256SUMS"}
OF_METHOD_FILES = {
    "bc": {"policy.safetensors", "keypoints.safetensors"},
    "vae": {"vae.safetensors", "reconstructions.png"},
}


class KilledError(Exception):
    """Stands for a kill."""


COMMON = {
    "seed": 0,
    "held_out_fraction": 0.34,
    "augment": True,
    "precision": "bf16",
    "gradient_clip": 1.0,
    "log_every": 3,
    "checkpoint_every": 2,
    "steps": STEPS,
    "batch_size": 8,
    "learning_rate": 1e-3,
}
OF_METHOD: dict[str, dict[str, object]] = {
    "bc": {
        "encoder": "foveal",
        "feature_dim": 6,
        "window_dim": 0,
        "context_dim": 8,
        "hidden": [16],
        "rollout_seed": 1000,
        "rollout_episodes": 1,
        "probe_scenes": 10,
    },
    "vae": {
        "latent_dim": 4,
        "width": 4,
        "hidden": 8,
        "beta": 2.0,
        "foreground_weight": 30.0,
        "probe_seed": 1000,
        "probe_scenes": 10,
    },
}


def params(**changes: object) -> PretrainParams:
    """The parts of the methods tried here; others have tests of their own."""
    return PretrainParams.model_construct(
        bc=cloning.CloningParams.model_validate(COMMON | OF_METHOD["bc"] | changes),
        vae=beta_vae_training.BetaVAEParams.model_validate(COMMON | OF_METHOD["vae"] | changes),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    collector = Collector(ENVIRONMENT, {"pick": 0.5, "place": 0.5}, [2, 3], 0.1, seed=0)
    episodes = [collector.collect(index) for index in range(NUM_EPISODES)]
    collector.close()
    return write_shards(tmp_path_factory.mktemp("data") / "shards", episodes)


@pytest.fixture(autouse=True, scope="module")
def few_transitions() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keypoint_training, "NUM_INIT", 16)
        for module in (beta_vae_training, cloning):
            patch.setattr(module, "NUM_INIT", 16)
            patch.setattr(module, "NUM_LOGGED", 16)
        yield


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def train(
    data: Path, out: Path, method: str, progress: Progress = silent, **changes: object
) -> dict:
    keypoints = KEYPOINTS.model_copy(update=changes.pop("keypoints", {}))
    return pretrain(params(**changes), keypoints, ENVIRONMENT, method, data, out, progress=progress)


@pytest.fixture(scope="module")
def wholes(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trainings that nobody killed."""
    outs = {method: tmp_path_factory.mktemp("whole") / method for method in OF_METHOD}
    for method, out in outs.items():
        metrics = train(data, out, method)
        assert metrics == json.loads((out / "metrics.json").read_text())
    return outs


@pytest.fixture(params=OF_METHOD)
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def whole(wholes: dict[str, Path], method: str) -> Path:
    return wholes[method]


@pytest.fixture
def cloned(wholes: dict[str, Path]) -> Path:
    return wholes["bc"]


@pytest.mark.parametrize(
    "call", [2, FIRST_CALL, FIRST_CALL + 2, FIRST_OF_CLONE, FIRST_CALL + STEPS - 1]
)
def test_a_killed_training_ends_in_the_same_bytes(
    data: Path, whole: Path, tmp_path: Path, method: str, call: int
) -> None:
    calls = iter(range(call + 1))

    def kill(_done: int, _total: int, _note: str) -> None:
        if next(calls) == call:
            raise KilledError

    out = tmp_path / "killed" / method
    with pytest.raises(KilledError):
        train(data, out, method, kill)
    assert not out.exists()
    train(data, out, method)
    assert files_of(out) == files_of(whole)
    assert set(files_of(whole)) == FILES | OF_METHOD_FILES[method]
    assert [path.name for path in out.parent.iterdir()] == [method]


def test_the_config_says_what_the_model_was_made_from(whole: Path, data: Path, method: str) -> None:
    config = json.loads((whole / "config.json").read_text())
    assert config["method"] == method
    assert config["data_manifest_sha256"] == sha256_file(data / "manifest.json")
    assert config["params"]["environment"] == ENVIRONMENT.model_dump()
    assert config["params"]["pretrain"] == COMMON | OF_METHOD[method]
    seen = {"keypoints": KEYPOINTS.model_dump()} if method == "bc" else {}
    assert {k: v for k, v in config["params"].items() if k == "keypoints"} == seen


def test_keypoints_and_model_are_trained_apart(data: Path, cloned: Path, tmp_path: Path) -> None:
    """What changes one leaves the other as it is, and either makes another part."""
    before, files = part_sha256(CLONE, cloned), ("policy.safetensors", "keypoints.safetensors")
    for changes, changed in (
        ({"keypoints": {"learning_rate": 1e-3}}, files[1]),
        ({"learning_rate": 2e-3}, files[0]),
    ):
        out = tmp_path / changed
        train(data, out, "bc", **changes)
        after = part_sha256(CLONE, out)
        assert [name for name in files if before[name] != after[name]] == [changed]
        assert before["config.json"] != after["config.json"]


def test_an_agent_sees_context_and_keypoints(cloned: Path) -> None:
    """The same, up to rounding, whether their encoders look together or one after the other."""
    policy, keypoints = BehaviorCloning.load(cloned), load_keypoints(cloned, "bc")
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 48, 48, 3), generator=generator, dtype=torch.uint8)
    proprioception = 0.1 * torch.rand(3, 8, generator=generator) + 0.2
    with torch.inference_mode():
        apart, together = (
            CLONE.load(cloned, CPU, precision).encode(images, proprioception)
            for precision in ("fp32", "bf16")
        )
        context = policy.context(images, proprioception)
        assert torch.equal(apart.context, context)
        assert torch.equal(apart.features, torch.cat([context, keypoints(images)], -1))
    assert torch.equal(together.features[:, : context.shape[1]], together.context)
    torch.testing.assert_close(together.features, apart.features, atol=0.1, rtol=0.0)
    assert keypoints.num_keypoints == KEYPOINTS.num_keypoints
    assert not any(weight.requires_grad for weight in keypoints.parameters())


@pytest.mark.parametrize("harm", ["older", "missing"])
def test_a_part_without_keypoints_says_how_to_get_them(
    cloned: Path, tmp_path: Path, harm: str
) -> None:
    folder = tmp_path / "bc"
    shutil.copytree(cloned, folder)
    for name in ("keypoints.safetensors", "SHA256SUMS"):
        (folder / name).unlink()
    if harm == "older":
        config = json.loads((folder / "config.json").read_text())
        del config["params"]["keypoints"]
        (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"keypoints for an agent.*`parrot pretrain --method bc`"):
        CLONE.load(folder, CPU, "bf16")


def test_probes_judge_what_an_agent_sees_and_either_half(cloned: Path) -> None:
    errors = json.loads((cloned / "metrics.json").read_text())["probe_error_cm"]
    assert set(errors) == {"agent_features", "keypoints", "context", "pixels", "mean_guess"}


def test_cloning_raises_the_likelihood_of_its_data(data: Path, tmp_path: Path) -> None:
    batches = TransitionBatches(data, tmp_path / "cache", 0.34)
    batch = batches.sample(64, np.random.default_rng(0))

    def likelihood(steps: int) -> float:
        out = tmp_path / str(steps)
        train(data, out, "bc", steps=steps, learning_rate=5e-3, precision="fp32")
        policy = BehaviorCloning.load(out)
        with torch.inference_mode():
            context = policy.context(batch.images, batch.proprioception)
            return float(policy.log_prob(batch.actions, context).mean())

    assert likelihood(60) > likelihood(1) + 1.0


def test_a_vae_raises_the_bound_of_its_data(data: Path, tmp_path: Path) -> None:
    """And lowers the error where objects are below that of no object at all."""
    little, more = (
        train(data, tmp_path / str(steps), "vae", steps=steps, learning_rate=1e-2)
        for steps in (1, 60)
    )
    assert more["elbo"] > little["elbo"] + 100.0
    assert more["object_error"] < little["object_error_of_mean_picture"]


def test_an_unknown_method_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no method 'gan' is pre-trained; choose one of bc, vae"):
        pretrain(params(), KEYPOINTS, ENVIRONMENT, "gan", data, tmp_path / "out")
    assert not (tmp_path / "out.partial").exists()


def test_every_method_has_its_part_of_the_section() -> None:
    assert list(PretrainParams.model_fields) == list(METHODS)
