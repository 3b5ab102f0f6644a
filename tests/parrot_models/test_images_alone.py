"""Priors and baselines of images alone: the stages leave one that knows where the tool is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from small_shards import made_up_episode, write_shards

from parrot_data.progress import silent
from parrot_models import pretrain as pretrain_stage
from parrot_models import train_prior as stage
from parrot_models.baselines import bc_training, options_training, trajectories_training
from parrot_models.baselines.bc_model import BehaviorCloning
from parrot_models.baselines.options_model import OptionModel
from parrot_models.baselines.trajectories_model import TrajectoryVAE
from parrot_models.prior import training
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.training import pose_training
from tests.parrot_models.baselines.part_params import NONE, part_params
from tests.parrot_models.networks.test_pose_head import PREDICTED
from tests.parrot_models.test_train_prior import KilledError, params
from tests.specs import HIDDEN_TOOL, IMAGES_ALONE, some_observations

MODELS = {"bc": BehaviorCloning, "trajectories": TrajectoryVAE, "options": OptionModel}
NO_KEYPOINTS = TypeAdapter(stage.KeypointParams).validate_python({"kind": "none"})
SHARED = {"encoder": PREDICTED, "augment": ["mirror", "colors"]}


@pytest.fixture(autouse=True)
def few_transitions(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (training, bc_training, options_training, trajectories_training):
        monkeypatch.setattr(module, "NUM_INIT", 16)
        monkeypatch.setattr(module, "NUM_LOGGED", 16)
    monkeypatch.setattr(pose_training, "NUM_INIT", 16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    episodes = [made_up_episode(IMAGES_ALONE, i, steps) for i, steps in enumerate((5, 1, 9, 3, 6))]
    for episode in episodes:
        rng = np.random.default_rng(episode.index)
        told = rng.normal(size=(episode.num_steps + 1, 4)).astype(np.float32)
        object.__setattr__(episode, "privileged", {HIDDEN_TOOL: told})
    return write_shards(tmp_path_factory.mktemp("data") / "shards", episodes, IMAGES_ALONE)


def train(data: Path, out: Path, progress=silent) -> dict:
    return stage.train_prior(params(**SHARED), NO_KEYPOINTS, data, out, progress=progress)


@pytest.fixture
def whole(data: Path, tmp_path: Path) -> Path:
    metrics = train(data, tmp_path / "prior")
    assert metrics["pose_error_m"] > 0.0
    assert json.loads((tmp_path / "prior" / "metrics.json").read_text()) == metrics
    return tmp_path / "prior"


@pytest.mark.parametrize(("part", "step"), [("pose", 1), ("pose", 3), ("flow", 1), ("flow", 5)])
def test_a_prior_killed_anywhere_is_the_one_that_nobody_killed(
    data: Path, whole: Path, tmp_path: Path, part: str, step: int
) -> None:
    def killed(done: int, _total: int, note: str) -> None:
        if note.startswith(part) and done == step:
            raise KilledError

    out = tmp_path / "killed"
    with pytest.raises(KilledError):
        train(data, out, killed)
    train(data, out)
    files = {path.name for path in whole.iterdir()}
    assert files == {path.name for path in out.iterdir()}
    for name in files:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_prior_s_card_says_how_it_knows_where_the_tool_is(whole: Path) -> None:
    card = (whole / "README.md").read_text()
    assert "predicted from images, learned from what the data know in 3 steps of 4" in card
    assert "| pose_error_m |" in card


@pytest.mark.parametrize("method", MODELS)
def test_a_baseline_has_the_very_head_of_a_prior_of_its_seed(
    data: Path, whole: Path, tmp_path: Path, method: str
) -> None:
    prior = json.loads((whole / "metrics.json").read_text())
    shared = {**SHARED, "held_out_fraction": params().held_out_fraction}
    section = pretrain_stage.PretrainParams.model_validate(
        {name: part_params(name, **shared) for name in (*MODELS, "vae")}
    )
    metrics = pretrain_stage.pretrain(section, NONE, method, data, tmp_path / method)
    assert metrics["pose_error_m"] == prior["pose_error_m"]
    model, its = MODELS[method].load(tmp_path / method), BehavioralPrior.load(whole)
    for name, values in its.pose.state_dict().items():
        assert torch.equal(model.pose.state_dict()[name], values), name
    seen = some_observations(IMAGES_ALONE, 3)
    assert torch.equal(model.tool_position(seen), its.tool_position(seen))
