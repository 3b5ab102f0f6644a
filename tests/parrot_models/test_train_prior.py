"""The stage train_prior: what it leaves, and that a kill at any point changes nothing in it."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from small_shards import write_shards

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.publish import sha256_file
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.scripts.collect import Collector
from parrot_models import train_prior as stage
from parrot_models.prior import training
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.report import PRIOR_NEEDED
from parrot_models.training import keypoint_training, trained_folder
from parrot_models.training.batches import TransitionBatches

ENVIRONMENT = EnvironmentParams(image_size=48, proprioception=True, episode_steps=8)
NUM_EPISODES, NUM_HELD_OUT = 6, 2
KEYPOINT_STEPS, STEPS, DISTILLATION_STEPS = 5, 7, 5
FILES = {
    *("prior.safetensors", "config.json", "history.csv", "metrics.json", "README.md"),
    "SHA256SUMS",
}
# The calls of the progress: decoding, keypoints, flow, then validation.
FIRST_KEYPOINT_CALL = NUM_EPISODES
FIRST_FLOW_CALL = FIRST_KEYPOINT_CALL + KEYPOINT_STEPS
FIRST_VALIDATION_CALL = FIRST_FLOW_CALL + STEPS


class KilledError(Exception):
    """Stands for a kill."""


KEYPOINTS = stage.KeypointParams(
    num_keypoints=4, width=4, foreground_weight=30.0, steps=KEYPOINT_STEPS, batch_size=4,
    learning_rate=2e-3,
)  # fmt: skip


def params(**changes: object) -> stage.TrainPriorParams:
    values = {
        "seed": 0,
        "held_out_fraction": NUM_HELD_OUT / NUM_EPISODES,
        "augment": True,
        "precision": "bf16",
        "gradient_clip": 1.0,
        "log_every": 3,
        "checkpoint_every": 2,
        "encoder": "fast",
        "feature_dim": 4,
        "window_dim": 0,
        "context_dim": 4,
        "num_layers": 2,
        "hidden": [8],
        "max_log_scale": 2.0,
        "flow": "affine",
        "spline": {"num_bins": 4, "bound": 4.0},
        "matching": {
            "hidden": [8],
            "num_steps": 2,
            "draws": 2,
            "distillation_steps": DISTILLATION_STEPS,
            "distillation_learning_rate": 1e-3,
        },
        "steps": STEPS,
        "batch_size": 8,
        "learning_rate": 1e-3,
        "rollout_seed": 1000,
        "rollout_episodes": 1,
        "probe_scenes": 10,
    }
    return stage.TrainPriorParams(**{**values, **changes})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of real episodes, successful or not."""
    collector = Collector(ENVIRONMENT, {"pick": 0.5, "place": 0.5}, [2, 3], 0.1, seed=0)
    episodes: list[Episode] = [collector.collect(index) for index in range(NUM_EPISODES)]
    made_with = {"environment": ENVIRONMENT.model_dump()}
    return write_shards(tmp_path_factory.mktemp("data") / "shards", episodes, made_with)


@pytest.fixture(autouse=True, scope="module")
def few_transitions() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keypoint_training, "NUM_INIT", 16)
        patch.setattr(training, "NUM_INIT", 16)
        patch.setattr(training, "NUM_LOGGED", 16)
        yield


def train(data: Path, out: Path, progress: Progress = silent, **changes: object) -> dict:
    keypoints = KEYPOINTS.model_copy(update=changes.pop("keypoints", {}))
    return stage.train_prior(
        params(**changes), keypoints, ENVIRONMENT, data, out, progress=progress
    )


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nobody killed."""
    out = tmp_path_factory.mktemp("whole") / "prior"
    metrics = train(data, out)
    assert metrics == json.loads((out / "metrics.json").read_text())
    return out


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def killed_at_call(number: int) -> Progress:
    calls = iter(range(number + 1))

    def progress(_done: int, _total: int, _note: str) -> None:
        if next(calls) == number:
            raise KilledError

    return progress


def test_it_leaves_its_results_and_nothing_else(whole: Path) -> None:
    assert set(files_of(whole)) == FILES
    assert [path.name for path in whole.parent.iterdir()] == ["prior"]


def test_the_config_says_what_the_prior_was_made_from(whole: Path, data: Path) -> None:
    config = json.loads((whole / "config.json").read_text())
    assert config["data_manifest_sha256"] == sha256_file(data / "manifest.json")
    assert config["params"]["environment"] == ENVIRONMENT.model_dump()
    assert config["params"]["train_prior"] == params().model_dump()
    assert config["params"]["keypoints"] == KEYPOINTS.model_dump()
    assert config["data_manifest_sha256"] in (whole / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(FILES - {"SHA256SUMS"}))
def test_a_prior_of_which_a_byte_was_flipped_is_refused(
    whole: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "prior"
    shutil.copytree(whole, folder)
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} was changed .* `parrot train-prior` again"):
        BehavioralPrior.load(folder)


def test_the_curve_has_a_row_every_so_many_steps_and_a_last_one(whole: Path) -> None:
    with (whole / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [3, 6, 7]
    for row in rows:
        assert math.isfinite(float(row["train_log_prob_per_dim"]))
        assert math.isfinite(float(row["validation_log_prob_per_dim"]))


def test_the_metrics_are_those_of_the_contract(whole: Path) -> None:
    metrics = json.loads((whole / "metrics.json").read_text())
    assert set(PRIOR_NEEDED) <= metrics.keys()
    rates = {name: value for name, value in metrics.items() if name.endswith("_rate")}
    assert len(rates) == 18  # success, any object and touch; prior and random; both and each family
    assert all(0.0 <= rate <= 1.0 for rate in rates.values())
    assert metrics["inverse_error"] < 1e-4
    assert {"agent_features", "flow_features", "mean_guess"} <= metrics["probe_error_cm"].keys()


@pytest.mark.parametrize(
    "kill",
    [
        2,  # while the shards are decoded
        FIRST_KEYPOINT_CALL,  # before the first checkpoint
        FIRST_KEYPOINT_CALL + 3,
        FIRST_FLOW_CALL,
        FIRST_FLOW_CALL + 2,  # the step that writes a row of the curve
        FIRST_FLOW_CALL + 3,  # after a row was written that must be written again
        FIRST_VALIDATION_CALL + 1,
    ],
)
def test_a_killed_training_resumes_to_the_same_bytes(
    data: Path, whole: Path, tmp_path: Path, kill: int
) -> None:
    with pytest.raises(KilledError):
        train(data, tmp_path / "prior", killed_at_call(kill))
    assert not (tmp_path / "prior").exists()
    train(data, tmp_path / "prior")
    assert files_of(tmp_path / "prior") == files_of(whole)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("flow.checkpoint", "set aside"),
        ("keypoints.checkpoint", "set aside"),
        ("cache/actions.npy", "decoded again"),
        ("history.csv", ""),
    ],
)
def test_a_flipped_byte_of_unfinished_training_shows_in_no_weights(
    data: Path, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, says: str
) -> None:
    with pytest.raises(KilledError):
        train(data, tmp_path / "prior", killed_at_call(FIRST_FLOW_CALL + 5))
    path = tmp_path / "prior.partial" / name
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    train(data, tmp_path / "prior")
    assert files_of(tmp_path / "prior") == files_of(whole)
    assert [says for message in caplog.messages if says in message] == [says] * bool(says)


def test_a_resumed_training_does_not_begin_anew(data: Path, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        train(data, tmp_path / "prior", killed_at_call(FIRST_FLOW_CALL + 5))
    steps: list[int] = []

    def note_steps(done: int, total: int, note: str) -> None:
        if note.startswith(("keypoints", "flow")):
            steps.append(done)

    train(data, tmp_path / "prior", note_steps)
    assert steps == [5, 6, 7]  # killed at step 6, the last checkpoint was at 4


def test_another_seed_makes_another_prior_and_discards_unfinished_work(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        train(data, tmp_path / "prior", killed_at_call(FIRST_FLOW_CALL + 5), seed=1)
    train(data, tmp_path / "prior")
    assert files_of(tmp_path / "prior") == files_of(whole)
    train(data, tmp_path / "other", seed=1)
    assert not torch.equal(
        BehavioralPrior.load(tmp_path / "other").trunk[0].weight,
        BehavioralPrior.load(whole).trunk[0].weight,
    )


def test_a_divergence_is_told_in_one_sentence(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"keypoints.*learning rate"):
        train(data, tmp_path / "prior", keypoints={"learning_rate": 1e38}, gradient_clip=1e38)
    monkeypatch.setattr(
        training,
        "negative_log_likelihood",
        lambda prior, *_: prior.trunk[0].weight.sum() * math.nan,
    )
    with pytest.raises(UserError, match=r"nan at step 0 of training \(flow\)"):
        train(data, tmp_path / "prior")
    assert not (tmp_path / "prior").exists()


@pytest.mark.parametrize("changes", [{"image_size": 64}, {"episode_steps": 9}])
def test_data_of_another_world_are_told_in_one_sentence(
    data: Path, tmp_path: Path, changes: dict[str, int]
) -> None:
    world = ENVIRONMENT.model_copy(update=changes)
    (key,) = changes
    with pytest.raises(UserError, match=rf"environment\.{key} is {changes[key]}, but .*shards"):
        stage.train_prior(params(), KEYPOINTS, world, data, tmp_path / "prior")
    assert not list(tmp_path.iterdir())


def test_held_out_episodes_are_never_learned_from(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other pictures in them, and the weights come out the same."""
    calls = []

    def spoil(*arguments: object) -> TransitionBatches:
        batches = TransitionBatches(*arguments)
        calls.append(len(np.unique(batches.transitions.episodes[batches.held_out_rows])))
        images = np.array(batches.transitions.images)
        images[batches.held_out_rows] = 255
        object.__setattr__(batches.transitions, "images", images)
        return batches

    train(data, tmp_path / "prior")
    monkeypatch.setattr(trained_folder, "TransitionBatches", spoil)
    train(data, tmp_path / "spoiled")
    assert calls == [NUM_HELD_OUT]
    one, other = files_of(tmp_path / "prior"), files_of(tmp_path / "spoiled")
    assert one["prior.safetensors"] == other["prior.safetensors"]
    assert one["metrics.json"] != other["metrics.json"]


@pytest.mark.parametrize("flow", ["spline", "matching"])
def test_every_flow_is_trained_judged_and_brought_back(
    data: Path, whole: Path, tmp_path: Path, flow: str
) -> None:
    metrics = train(data, tmp_path / "prior", flow=flow)
    assert set(files_of(tmp_path / "prior")) == FILES
    more = {"distillation_error", "integration_error"} if flow == "matching" else set()
    expected = json.loads((whole / "metrics.json").read_text()).keys() | more
    assert metrics.keys() == expected
    assert all(math.isfinite(metrics[name]) for name in {"log_prob_per_dim", *more})
    if flow == "spline":
        assert metrics["inverse_error"] < 1e-4
    prior = BehavioralPrior.load(tmp_path / "prior")
    assert prior.architecture.flow == flow
    assert type(prior.flow) is not type(BehavioralPrior.load(whole).flow)
    card = (tmp_path / "prior" / "README.md").read_text()
    assert ("4 bins" if flow == "spline" else "not invertible") in card


@pytest.mark.parametrize(
    "kill", [FIRST_FLOW_CALL + 3, FIRST_VALIDATION_CALL + 1, FIRST_VALIDATION_CALL + 3]
)
def test_a_matched_flow_killed_resumes_to_the_same_bytes(
    data: Path, tmp_path: Path, kill: int
) -> None:
    """While its velocity is fitted, and while its one step learns."""
    train(data, tmp_path / "whole", flow="matching")
    with pytest.raises(KilledError):
        train(data, tmp_path / "prior", killed_at_call(kill), flow="matching")
    train(data, tmp_path / "prior", flow="matching")
    assert files_of(tmp_path / "prior") == files_of(tmp_path / "whole")
