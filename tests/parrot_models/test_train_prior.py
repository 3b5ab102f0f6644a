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
from pydantic import TypeAdapter
from small_shards import write_made_up

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.progress import Progress, Scalars, silent, unheard
from parrot_data.stores.publish import sha256_file
from parrot_models import train_prior as stage
from parrot_models.prior import training
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.training import keypoint_training, shards
from parrot_models.training.batches import TransitionBatches
from tests.event_files import Told
from tests.specs import (
    ONE_IMAGE,
    TABLETOP_LIKE,
    TWO_IMAGES,
    VECTORS_ALONE,
    encoder_for,
    some_observations,
    spec_of,
)

SPEC = spec_of(images={"image": (16, 12)}, vectors={"pose": 4}, action_dim=3, has_mirror=True)
NUM_EPISODES, NUM_HELD_OUT = 6, 2
KEYPOINT_STEPS, STEPS, DISTILLATION_STEPS = 5, 7, 5
FILES = {
    *("prior.safetensors", "config.json", "history.csv", "metrics.json", "README.md"),
    "SHA256SUMS",
}
# The calls of the progress: decoding, keypoints, flow, then measuring.
FIRST_KEYPOINT_CALL = NUM_EPISODES
FIRST_FLOW_CALL = FIRST_KEYPOINT_CALL + KEYPOINT_STEPS
FIRST_CALL_AFTER_FLOW = FIRST_FLOW_CALL + STEPS


class KilledError(Exception):
    """Stands for a kill."""


KEYPOINTS = {
    "kind": "reconstruction", "num_keypoints": 4, "width": 4, "foreground_weight": 30.0,
    "steps": KEYPOINT_STEPS, "batch_size": 4, "learning_rate": 2e-3,
}  # fmt: skip
COUPLINGS = {"num_layers": 2, "hidden": [8], "max_log_scale": 2.0}
PARAMS = {
    "seed": 0,
    "source": {"kind": "memmap"},
    "held_out_fraction": NUM_HELD_OUT / NUM_EPISODES,
    "augment": ["mirror", "colors"],
    "observation_noise": 0.05,
    "precision": "bf16",
    "gradient_clip": 1.0,
    "log_every": 3,
    "checkpoint_every": 2,
    "encoder": {"kind": "fast", "feature_dim": 4},
    "context_dim": 4,
    "flow": "affine",
    "flows": {
        "affine": COUPLINGS,
        "spline": {**COUPLINGS, "num_bins": 4, "bound": 4.0},
        "matching": {
            "hidden": [8],
            "num_steps": 2,
            "draws": 2,
            "distillation_steps": DISTILLATION_STEPS,
            "distillation_learning_rate": 1e-3,
        },
    },
    "steps": STEPS,
    "batch_size": 8,
    "learning_rate": 1e-3,
}


def params(**changes: object) -> stage.TrainPriorParams:
    return stage.TrainPriorParams.model_validate({**PARAMS, **changes})


def keypoints_of(**changes: object) -> stage.KeypointParams:
    return TypeAdapter(stage.KeypointParams).validate_python({**KEYPOINTS, **changes})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_made_up(tmp_path_factory.mktemp("data") / "shards", SPEC)


@pytest.fixture(autouse=True, scope="module")
def few_transitions() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keypoint_training, "NUM_INIT", 16)
        patch.setattr(training, "NUM_INIT", 16)
        patch.setattr(training, "NUM_LOGGED", 16)
        yield


def train(
    data: Path,
    out: Path,
    progress: Progress = silent,
    scalars: Scalars = unheard,
    **changes: object,
) -> dict:
    keypoints = keypoints_of(**changes.pop("keypoints", {}))
    return stage.train_prior(
        params(**changes), keypoints, data, out, progress=progress, scalars=scalars
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
    assert EpisodeSpec.model_validate_json(json.dumps(config["spec"])) == SPEC
    assert config["params"]["train_prior"] == params().model_dump()
    assert config["params"]["keypoints"] == KEYPOINTS
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


def test_what_is_told_is_what_the_curve_has_and_changes_nothing(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    told = Told()
    train(data, tmp_path / "prior", scalars=told)
    assert files_of(tmp_path / "prior") == files_of(whole)
    assert list(told.values) == ["keypoints", "flow"]
    with (whole / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in ("train_log_prob_per_dim", "validation_log_prob_per_dim"):
        column = [(int(row["step"]), float(row[name])) for row in rows]
        assert told.column("flow", name) == column
    for phase, steps in (("keypoints", [3, 5]), ("flow", [3, 6, 7])):
        for name in ("loss", "learning_rate"):
            assert [step for step, _ in told.column(phase, name)] == steps


@pytest.mark.parametrize("kill", [FIRST_KEYPOINT_CALL + 3, FIRST_FLOW_CALL + 3])
def test_a_killed_training_tells_every_step_once(data: Path, tmp_path: Path, kill: int) -> None:
    whole, told = Told(), Told()
    train(data, tmp_path / "whole", scalars=whole)
    with pytest.raises(KilledError):
        train(data, tmp_path / "prior", killed_at_call(kill), told)
    train(data, tmp_path / "prior", scalars=told)
    for phase, values in whole.values.items():
        assert list(told.values[phase]) == list(values)
    curve = "validation_log_prob_per_dim"
    assert told.column("flow", curve) == whole.column("flow", curve)


def test_the_metrics_are_what_the_data_give(whole: Path) -> None:
    metrics = json.loads((whole / "metrics.json").read_text())
    assert metrics.keys() == {
        "log_prob_per_dim", "inverse_error", "latent_inverse_error",
        "latent_inverse_error_typical", "latents_found_again", "num_parameters",
    }  # fmt: skip
    assert metrics["inverse_error"] < 1e-4
    prior = BehavioralPrior.load(whole)
    assert metrics["num_parameters"] == sum(weight.numel() for weight in prior.parameters())


@pytest.mark.parametrize(
    "kill",
    [
        2,  # while the shards are decoded
        FIRST_KEYPOINT_CALL,  # before the first checkpoint
        FIRST_KEYPOINT_CALL + 3,
        FIRST_FLOW_CALL,
        FIRST_FLOW_CALL + 2,  # the step that writes a row of the curve
        FIRST_FLOW_CALL + 3,  # after a row was written that must be written again
        FIRST_CALL_AFTER_FLOW,
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


@pytest.mark.parametrize(
    ("spec", "changes", "sentence"),
    [
        (VECTORS_ALONE, {}, r"train_prior\.augment names mirror"),
        (VECTORS_ALONE, {"augment": ["colors"]}, r"train_prior\.augment names colors"),
        (VECTORS_ALONE, {"augment": []}, r"train_prior\.encoder fast needs images"),
        (
            VECTORS_ALONE, {"augment": [], "encoder": {"kind": "vector"}},
            r"keypoints reconstruction needs images.*{kind: none}",
        ),
        (
            ONE_IMAGE,
            {"augment": [], "encoder": {"kind": "foveal", "feature_dim": 12, "window_dim": 3}},
            r"encoder foveal looks where the tool is.*the image camera",
        ),
    ],
)  # fmt: skip
def test_what_the_spec_lacks_is_told_before_anything_is_decoded(
    tmp_path: Path, spec: EpisodeSpec, changes: dict[str, object], sentence: str
) -> None:
    data = write_made_up(tmp_path / "shards", spec)
    with pytest.raises(UserError, match=sentence):
        train(data, tmp_path / "prior", lambda *_: pytest.fail("it was"), **changes)
    assert [path.name for path in tmp_path.iterdir()] == ["shards"]


def test_held_out_episodes_are_never_learned_from(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other images in them, and the weights come out the same."""
    calls = []

    def spoil(*arguments: object) -> TransitionBatches:
        batches = TransitionBatches(*arguments)
        calls.append(len(np.unique(batches.transitions.episodes[batches.held_out_rows])))
        seen = dict(batches.transitions.observations)
        seen["image"] = np.array(seen["image"])
        seen["image"][batches.held_out_rows] = 255
        object.__setattr__(batches.transitions, "observations", seen)
        return batches

    train(data, tmp_path / "prior")
    monkeypatch.setattr(shards, "TransitionBatches", spoil)
    train(data, tmp_path / "spoiled")
    assert calls == [NUM_HELD_OUT]
    one, other = files_of(tmp_path / "prior"), files_of(tmp_path / "spoiled")
    assert one["prior.safetensors"] == other["prior.safetensors"]
    assert one["metrics.json"] != other["metrics.json"]


@pytest.mark.parametrize("flow", ["spline", "matching"])
def test_every_flow_is_trained_judged_and_brought_back(
    data: Path, whole: Path, tmp_path: Path, flow: str
) -> None:
    told = Told()
    metrics = train(data, tmp_path / "prior", scalars=told, flow=flow)
    phases = ["keypoints", "flow", *(["one_step"] if flow == "matching" else [])]
    assert list(told.values) == phases
    assert set(files_of(tmp_path / "prior")) == FILES
    more = {"distillation_error", "integration_error"} if flow == "matching" else set()
    expected = json.loads((whole / "metrics.json").read_text()).keys() | more
    assert metrics.keys() == expected
    assert all(math.isfinite(metrics[name]) for name in {"log_prob_per_dim", *more})
    if flow == "spline":
        assert metrics["inverse_error"] < 1e-4
    prior = BehavioralPrior.load(tmp_path / "prior")
    assert prior.architecture.flow.kind == flow
    assert type(prior.flow) is not type(BehavioralPrior.load(whole).flow)
    card = (tmp_path / "prior" / "README.md").read_text()
    assert ("4 bins" if flow == "spline" else "not invertible") in card


@pytest.mark.parametrize(
    "kill", [FIRST_FLOW_CALL + 3, FIRST_CALL_AFTER_FLOW + 1, FIRST_CALL_AFTER_FLOW + 3]
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


SPECS = {
    "tabletop-like": (TABLETOP_LIKE, {"kind": "foveal", "feature_dim": 12, "window_dim": 3}),
    "vectors alone": (VECTORS_ALONE, None),
    "one image, one dimension": (ONE_IMAGE, None),
    "one image, paper": (ONE_IMAGE, {"kind": "paper", "feature_dim": 6}),
    "two images, unbounded": (TWO_IMAGES, None),
}


@pytest.mark.parametrize("flow", ["affine", "spline", "matching"])
@pytest.mark.parametrize("name", SPECS)
def test_every_flow_learns_from_whatever_a_spec_describes(
    tmp_path: Path, name: str, flow: str
) -> None:
    spec, encoder = SPECS[name]
    data = write_made_up(tmp_path / "shards", spec)
    names = [*(["mirror"] if spec.mirror else []), *(["colors"] if spec.images else [])]
    keypoints = {} if spec.images else {"kind": "none"}
    metrics = stage.train_prior(
        params(flow=flow, augment=names, encoder=encoder or encoder_for(spec), steps=3),
        keypoints_of() if spec.images else TypeAdapter(stage.KeypointParams).validate_python(
            keypoints
        ),
        data,
        tmp_path / "prior",
    )  # fmt: skip
    assert math.isfinite(metrics["log_prob_per_dim"])
    prior = BehavioralPrior.load(tmp_path / "prior")
    assert prior.spec == spec
    encoding = prior.encode(some_observations(spec, 2))
    assert encoding.features.shape == (2, prior.feature_dim)
    actions = prior.decode(torch.zeros(2, spec.action.dim), encoding.context)
    assert actions.shape == (2, spec.action.dim)
    card = (tmp_path / "prior" / "README.md").read_text()
    assert all(f"`{each}`" in card for each in spec.observations)


def test_an_unbounded_robot_acts_in_its_own_units(tmp_path: Path) -> None:
    data = write_made_up(tmp_path / "shards", TWO_IMAGES, lengths=(20, 20, 20))
    train(data, tmp_path / "prior", augment=[])
    prior = BehavioralPrior.load(tmp_path / "prior")
    context = prior.context(some_observations(TWO_IMAGES, 200))
    actions = prior.sample(context, torch.Generator().manual_seed(0))
    dims = torch.arange(14)
    torch.testing.assert_close(actions.mean(0), 10.0 * dims, rtol=0.1, atol=3.0)
    torch.testing.assert_close(actions.std(0), 1.0 + dims, rtol=0.5, atol=1.0)
