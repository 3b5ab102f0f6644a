"""Every pre-trained part learns from every spec that has what it needs, whatever episodes last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from some_shards import write_demonstrations

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_models.baselines import (
    bc_training,
    options_training,
    trajectories_training,
    vae_training,
)
from parrot_models.baselines.bc_model import BehaviorCloning
from parrot_models.baselines.keypoints import load_keypoints
from parrot_models.baselines.options_model import OptionModel
from parrot_models.baselines.trajectories_model import TrajectoryVAE
from parrot_models.baselines.vae_model import BetaVAE
from parrot_models.pretrain import METHODS, PretrainParams, pretrain
from parrot_models.training import keypoint_training
from tests.parrot_models.baselines.part_params import NONE, RECONSTRUCTION, part_params
from tests.specs import SPECS, VECTORS_ALONE, encoder_for, some_observations

MODELS = {
    "bc": BehaviorCloning,
    "vae": BetaVAE,
    "trajectories": TrajectoryVAE,
    "options": OptionModel,
}
FILES = {"config.json", "history.csv", "metrics.json", "README.md", "SHA256SUMS"}
STEPS = 4

every_spec = pytest.mark.parametrize("name", SPECS)
every_part = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(autouse=True)
def few_transitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypoint_training, "NUM_INIT", 16)
    for module in (bc_training, options_training, trajectories_training, vae_training):
        monkeypatch.setattr(module, "NUM_INIT", 256)
        monkeypatch.setattr(module, "NUM_LOGGED", 8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Episodes of 5 to 80 steps of each spec."""
    folder = tmp_path_factory.mktemp("data")
    return {name: write_demonstrations(folder / name, spec) for name, spec in SPECS.items()}


def section(spec: EpisodeSpec, **changes: object) -> PretrainParams:
    augment = [*(["mirror"] if spec.mirror else []), *(["colors"] if spec.images else [])]
    values = {"encoder": encoder_for(spec), "augment": augment, "steps": STEPS, **changes}
    return PretrainParams.model_validate({m: part_params(m, **values) for m in METHODS})


@every_part
@every_spec
def test_a_part_learns_what_a_spec_describes(
    data: dict[str, Path], tmp_path: Path, name: str, method: str
) -> None:
    spec, out = SPECS[name], tmp_path / method
    keypoints = RECONSTRUCTION if spec.images else NONE
    if method == "vae" and not spec.images:
        with pytest.raises(UserError, match=r"pretrain\.vae learns images.*vectors alone"):
            pretrain(section(spec), keypoints, method, data[name], out)
        assert not any(tmp_path.iterdir())
        return
    metrics = pretrain(section(spec), keypoints, method, data[name], out)
    assert metrics == json.loads((out / "metrics.json").read_text())
    names = {path.name for path in out.iterdir()}
    assert names >= FILES
    model = MODELS[method].load(out)
    assert model.spec == spec
    assert json.loads((out / "config.json").read_text())["spec"] == spec.model_dump(mode="json")
    has_keypoints = method != "vae" and bool(spec.images)
    assert ("keypoints.safetensors" in names) == has_keypoints
    if method == "vae":
        assert model.features(some_observations(spec, 3)).shape == (3, model.feature_dim)
        return
    assert model.context(some_observations(spec, 3)).shape == (3, 8)
    loaded = load_keypoints(out, method)
    assert (loaded is not None) == has_keypoints
    if loaded is not None:
        assert loaded(some_observations(spec, 3)).shape == (3, loaded.feature_dim)


@pytest.mark.parametrize(
    ("changes", "keypoints", "sentence"),
    [
        ({}, RECONSTRUCTION, r"keypoints reconstruction needs images.*kind: none"),
        ({"augment": ["colors"]}, NONE, r"pretrain\.bc\.augment names colors.*no images"),
        ({"augment": ["mirror"]}, NONE, r"pretrain\.bc\.augment names mirror"),
        (
            {"encoder": {"kind": "fast", "feature_dim": 4}},
            NONE,
            r"pretrain\.bc\.encoder fast needs images",
        ),
    ],
)
def test_what_data_lack_is_said_before_any_work(
    data: dict[str, Path], tmp_path: Path, changes, keypoints, sentence
) -> None:
    params, out = section(VECTORS_ALONE, **changes), tmp_path / "bc"
    with pytest.raises(UserError, match=sentence):
        pretrain(params, keypoints, "bc", data["vectors alone"], out)
    assert not any(tmp_path.iterdir())
