"""The stage pretrain: what it leaves, and that a kill at any point changes nothing in it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from parrot_data.errors import UserError
from parrot_data.progress import Progress, Scalars, silent, unheard
from parrot_data.stores.publish import sha256_file
from parrot_models.baselines import (
    bc_training,
    options_training,
    trajectories_training,
    vae_training,
)
from parrot_models.baselines.bc_model import BehaviorCloning
from parrot_models.baselines.keypoints import load_keypoints
from parrot_models.pretrain import METHODS, PretrainParams, pretrain
from parrot_models.training import keypoint_training
from tests.event_files import Told
from tests.parrot_models.baselines.part_params import NONE, RECONSTRUCTION, part_params
from tests.parrot_models.baselines.some_shards import write_demonstrations
from tests.specs import TABLETOP_LIKE, some_observations

LENGTHS = (8, 5, 8, 12, 6, 8)
STEPS = 7
FIRST_CALL = len(LENGTHS)  # of the progress, after decoding
# Then, but for "vae", come keypoints, then the model.
FIRST_OF_MODEL = FIRST_CALL + RECONSTRUCTION.steps
FILES = {"config.json", "history.csv", "metrics.json", "README.md", "SHA256SUMS"}
OF_METHOD_FILES = {
    "bc": {"policy.safetensors", "keypoints.safetensors"},
    "vae": {"vae.safetensors", "reconstructions.png"},
    "trajectories": {"trajectories.safetensors", "keypoints.safetensors"},
    "options": {"options.safetensors", "keypoints.safetensors"},
}
CHANGES = {
    "augment": ["mirror", "colors"],
    "observation_noise": 0.05,
    "encoder": {"kind": "foveal", "feature_dim": 6, "window_dim": 0},
    "steps": STEPS,
}


class KilledError(Exception):
    """Stands for a kill."""


def params(**changes: object) -> PretrainParams:
    parts = {method: part_params(method, **{**CHANGES, **changes}) for method in METHODS}
    return PretrainParams.model_validate(parts)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demonstrations(tmp_path_factory.mktemp("data") / "shards", TABLETOP_LIKE, LENGTHS)


@pytest.fixture(autouse=True, scope="module")
def few_transitions() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keypoint_training, "NUM_INIT", 16)
        for module in (bc_training, options_training, trajectories_training, vae_training):
            patch.setattr(module, "NUM_INIT", 64)
            patch.setattr(module, "NUM_LOGGED", 8)
        yield


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def train(
    data: Path,
    out: Path,
    method: str,
    progress: Progress = silent,
    scalars: Scalars = unheard,
    **changes: object,
) -> dict:
    keypoints = RECONSTRUCTION.model_copy(update=changes.pop("keypoints", {}))
    return pretrain(
        params(**changes), keypoints, method, data, out, progress=progress, scalars=scalars
    )


@pytest.fixture(scope="module")
def wholes(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trainings that nobody killed."""
    outs = {method: tmp_path_factory.mktemp("whole") / method for method in METHODS}
    for method, out in outs.items():
        metrics = train(data, out, method)
        assert metrics == json.loads((out / "metrics.json").read_text())
    return outs


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def whole(wholes: dict[str, Path], method: str) -> Path:
    return wholes[method]


@pytest.fixture
def cloned(wholes: dict[str, Path]) -> Path:
    return wholes["bc"]


@pytest.mark.parametrize("call", [2, FIRST_CALL + 2, FIRST_OF_MODEL + 3])
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


def test_what_is_told_is_what_the_curve_has_and_changes_nothing(
    data: Path, whole: Path, tmp_path: Path, method: str
) -> None:
    told = Told()
    train(data, tmp_path / method, method, scalars=told)
    assert files_of(tmp_path / method) == files_of(whole)
    *before, phase = told.values
    assert before == ([] if method == "vae" else ["keypoints"])
    with (whole / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in rows[0].keys() - {"step"}:
        column = [(int(row["step"]), float(row[name])) for row in rows]
        assert told.column(phase, name) == column
    for phase in told.values:
        assert told.column(phase, "loss")


def test_the_config_says_what_the_model_was_made_from(whole: Path, data: Path, method: str) -> None:
    config = json.loads((whole / "config.json").read_text())
    assert config["method"] == method
    assert config["data_manifest_sha256"] == sha256_file(data / "manifest.json")
    assert config["spec"] == TABLETOP_LIKE.model_dump(mode="json")
    said = part_params(method, **CHANGES)
    del said["source"]  # a folder's store, which goes without saying
    assert config["params"]["pretrain"] == said
    seen = {} if method == "vae" else {"keypoints": RECONSTRUCTION.model_dump()}
    assert {k: v for k, v in config["params"].items() if k != "pretrain"} == seen


def test_the_card_says_what_the_model_sees_and_does(whole: Path, method: str) -> None:
    card = (whole / "README.md").read_text()
    assert f"Pre-training `{method}`" in card
    assert "image `image` 48 x 48, vector `proprioception` of 8" in card
    assert "normalised" in card


def test_keypoints_and_model_are_trained_apart(data: Path, cloned: Path, tmp_path: Path) -> None:
    """What changes one leaves the other as it is, and either makes another part."""
    before, weights = files_of(cloned), ("policy.safetensors", "keypoints.safetensors")
    for changes, changed in (
        ({"keypoints": {"learning_rate": 1e-3}}, weights[1]),
        ({"keypoints": {"num_keypoints": 5}}, weights[1]),
        ({"learning_rate": 2e-3}, weights[0]),
    ):
        out = tmp_path / "-".join([changed, *changes])
        shutil.rmtree(out, ignore_errors=True)
        train(data, out, "bc", **changes)
        after = files_of(out)
        assert [name for name in weights if before[name] != after[name]] == [changed]
        assert before["config.json"] != after["config.json"]


def test_parts_of_one_seed_have_the_same_keypoints(wholes: dict[str, Path]) -> None:
    methods = [method for method in METHODS if method != "vae"]
    found = {files_of(wholes[method])["keypoints.safetensors"] for method in methods}
    assert len(found) == 1


def test_without_keypoints_a_model_is_the_same(data: Path, cloned: Path, tmp_path: Path) -> None:
    pretrain(params(), NONE, "bc", data, tmp_path / "bc")
    after = files_of(tmp_path / "bc")
    assert after["policy.safetensors"] == files_of(cloned)["policy.safetensors"]
    assert "keypoints.safetensors" not in after
    assert load_keypoints(tmp_path / "bc", "bc") is None


def test_keypoints_are_read_frozen(cloned: Path) -> None:
    policy, keypoints = BehaviorCloning.load(cloned), load_keypoints(cloned, "bc")
    assert keypoints is not None
    seen = some_observations(TABLETOP_LIKE, 3)
    with torch.inference_mode():
        assert keypoints(seen).shape == (3, 3 * RECONSTRUCTION.num_keypoints)
        assert policy.context(seen).isfinite().all()
    assert not any(weight.requires_grad for weight in keypoints.parameters())


@pytest.mark.parametrize("harm", ["older", "missing", "other", "not an object"])
def test_a_part_without_keypoints_says_how_to_get_them(
    cloned: Path, tmp_path: Path, harm: str
) -> None:
    folder = tmp_path / "bc"
    shutil.copytree(cloned, folder)
    for name in ("keypoints.safetensors", "SHA256SUMS"):
        (folder / name).unlink()
    config = json.loads((folder / "config.json").read_text())
    if harm == "older":
        del config["params"]["keypoints"]
    elif harm == "not an object":
        config["params"] = [1]
    elif harm == "other":
        shutil.copy(folder / "policy.safetensors", folder / "keypoints.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"keypoints for an agent.*`parrot pretrain --method bc`"):
        load_keypoints(folder, "bc")


def test_an_unknown_method_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no method 'gan' is pre-trained; choose one of bc, vae"):
        pretrain(params(), RECONSTRUCTION, "gan", data, tmp_path / "out")
    assert not (tmp_path / "out.partial").exists()


def test_every_method_has_its_part_of_the_section() -> None:
    assert list(PretrainParams.model_fields) == list(METHODS)
