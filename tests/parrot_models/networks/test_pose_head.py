"""Where nothing tells the tool's position, a model reads it off its images and sees no more."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from parrot_data.errors import UserError
from parrot_models.networks.context_model import ContextArchitecture, ContextModel
from parrot_models.networks.keypoints import Keypoints
from parrot_models.networks.pose_head import PoseHead
from parrot_models.networks.sight import Sight
from parrot_models.prior.behavioral_prior import BehavioralPrior
from tests.parrot_models.small_priors import FOVEAL, small_prior
from tests.specs import (
    HIDDEN_TOOL,
    IMAGES_ALONE,
    ONE_IMAGE,
    TABLETOP_LIKE,
    some_actions,
    some_observations,
)

PREDICTED = {
    **FOVEAL, "kind": "foveal_predicted",
    "pose": {"width": 4, "steps": 3, "batch_size": 4, "learning_rate": 1e-3},
}  # fmt: skip


def model_of(spec, encoder) -> ContextModel:
    torch.manual_seed(0)
    values = {"spec": spec, "encoder": encoder, "context_dim": 5}
    return ContextModel(ContextArchitecture.model_validate(values), "train_prior")


@pytest.fixture
def model() -> ContextModel:
    model = model_of(IMAGES_ALONE, PREDICTED)
    model.init_from_data(some_observations(IMAGES_ALONE, 50), some_actions(IMAGES_ALONE, 50))
    return model


def test_a_model_sees_its_own_image_and_nothing_else(model) -> None:
    seen, other = some_observations(IMAGES_ALONE, 4), some_observations(IMAGES_ALONE, 4, seed=7)
    context = model.context(seen)
    assert torch.equal(context, model.context({**seen, HIDDEN_TOOL: torch.ones(4, 4)}))
    images = torch.cat([seen["image"][:1], other["image"][1:]])
    changed = model.context({"image": images})
    torch.testing.assert_close(changed[:1], context[:1])
    assert not torch.allclose(changed[1:], context[1:])


def test_it_looks_where_the_head_says(model) -> None:
    seen = some_observations(IMAGES_ALONE, 4)
    place, features = model.tool_position(seen), model.own_features(seen)
    assert place.shape == (4, 3)
    assert torch.equal(place, model.pose(seen))
    with torch.no_grad():
        model.pose.mean += 0.3
    assert not torch.allclose(model.own_features(seen), features)


def test_the_head_learns_nothing_from_what_looks_there(model) -> None:
    model.context(some_observations(IMAGES_ALONE, 4)).sum().backward()
    assert all(weight.grad is None for weight in model.pose.parameters())
    assert model.encoder_of("image").log_pull.grad is not None


@pytest.mark.parametrize(("precision", "slack"), [("fp32", 0.0), ("bf16", 0.1)])
def test_what_acts_looks_there_too(model, precision, slack) -> None:
    model.eval().requires_grad_(False)
    keypoints = Keypoints(IMAGES_ALONE.images, 4, 4).eval().requires_grad_(False)
    seen = some_observations(IMAGES_ALONE, 1)
    found = Sight(model, keypoints, precision).see(seen).own
    torch.testing.assert_close(found, model.own_features(seen), rtol=0, atol=slack)


def test_a_head_of_several_images_of_any_size_standardises_positions() -> None:
    images = {"front": ONE_IMAGE.images["camera"], "wrist": IMAGES_ALONE.images["image"]}
    seen = {k: torch.randint(0, 256, (6, *s.shape), dtype=torch.uint8) for k, s in images.items()}
    head, positions = PoseHead(images, 3), torch.tensor([[0.0, 5.0, 1.0], [2.0, 5.0, 3.0]] * 3)
    head.init_from_data(seen, positions)
    assert head.mean.tolist() == [1.0, 5.0, 2.0]
    assert head.std.tolist() == [1.0, 1.0, 1.0]
    with torch.no_grad():
        for weight in head.place[-1].parameters():
            weight.zero_()
    assert torch.equal(head(seen), head.mean.expand(6, 3))
    assert float(head.loss(seen, positions).detach()) == pytest.approx(2 / 3)


def test_a_prior_comes_back_from_its_folder(tmp_path: Path) -> None:
    prior = small_prior(IMAGES_ALONE, encoder=PREDICTED)
    prior.pose.mean.fill_(0.1)
    prior.save(tmp_path, {})
    again, seen = BehavioralPrior.load(tmp_path), some_observations(IMAGES_ALONE, 3)
    assert again.architecture == prior.architecture
    for mine, its in zip(again.encode(seen), prior.encode(seen), strict=True):
        assert torch.equal(mine, its)


def test_where_the_tool_is_told_there_is_no_head() -> None:
    model = model_of(TABLETOP_LIKE, FOVEAL)
    assert model.pose is None
    parts = {name.partition(".")[0] for name in model.state_dict()}
    assert parts == {"encoders", "vectors", "action_scale", "trunk"}


@pytest.mark.parametrize(
    ("spec", "encoder", "sentence"),
    [
        (IMAGES_ALONE, FOVEAL, r"foveal has to be told .* privileged pose .* to foveal_predicted"),
        (TABLETOP_LIKE, PREDICTED, r"the observation proprioception tells it: set .* to foveal$"),
        (ONE_IMAGE, PREDICTED, r"foveal_predicted looks where the tool is.* \(tool\) nor the cam"),
    ],
)
def test_the_encoder_that_does_not_fit_is_refused(spec, encoder, sentence) -> None:
    with pytest.raises(UserError, match=sentence):
        model_of(spec, encoder)
