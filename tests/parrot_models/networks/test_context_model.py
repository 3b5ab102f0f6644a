"""Whatever a spec names is seen, and what a spec lacks is said."""

from __future__ import annotations

import pytest
import torch

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_models.networks.action_scale import BOX_STDS, ActionScale
from parrot_models.networks.context_model import ContextArchitecture, ContextModel
from parrot_models.networks.keypoints import KeypointAutoencoder, Keypoints
from parrot_models.networks.sight import Sight
from tests.specs import (
    ONE_IMAGE,
    SPECS,
    TABLETOP_LIKE,
    TWO_IMAGES,
    VECTORS_ALONE,
    encoder_for,
    some_actions,
    some_observations,
    spec_of,
)

FOVEAL = {"kind": "foveal", "feature_dim": 12, "window_dim": 3}


def model_of(spec: EpisodeSpec, encoder: dict[str, object] | None = None) -> ContextModel:
    torch.manual_seed(0)
    values = {"spec": spec, "encoder": encoder or encoder_for(spec), "context_dim": 5}
    model = ContextModel(ContextArchitecture.model_validate(values), "train_prior")
    model.init_from_data(some_observations(spec, 50), some_actions(spec, 50))
    return model


every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


@every_spec
def test_every_observation_reaches_the_context_and_rows_stay_apart(spec: EpisodeSpec) -> None:
    model, seen = model_of(spec), some_observations(spec, 4)
    context = model.context(seen)
    assert context.shape == (4, 5)
    assert context.dtype == torch.float32
    other = some_observations(spec, 4, seed=7)
    for name in spec.observations:
        changed = model.context({**seen, name: torch.cat([other[name][:1], seen[name][1:]])})
        assert not torch.allclose(changed[0], context[0])
        torch.testing.assert_close(changed[1:], context[1:])


@every_spec
def test_a_spec_survives_json(spec: EpisodeSpec) -> None:
    assert EpisodeSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("spec", "encoder", "sentence"),
    [
        (VECTORS_ALONE, FOVEAL, "foveal needs images.*vectors alone.*kind: vector"),
        (VECTORS_ALONE, {"kind": "fast", "feature_dim": 4}, "fast needs images.*kind: vector"),
        (ONE_IMAGE, {"kind": "vector"}, "would not look at the images camera"),
        (ONE_IMAGE, FOVEAL, "tool's position.*nor the camera of the image camera"),
        (TWO_IMAGES, FOVEAL, "tool's position.*nor the camera of the image front"),
        (TABLETOP_LIKE, {**FOVEAL, "feature_dim": 13}, "multiple of 3.* not 13"),
    ],
)
def test_what_a_spec_lacks_is_said_in_one_sentence(spec, encoder, sentence) -> None:
    with pytest.raises(UserError, match=sentence):
        model_of(spec, encoder)


def test_units_of_vectors_do_not_matter() -> None:
    """Standardised by the data: metres or millimetres make the same context."""
    metres, factors = some_observations(VECTORS_ALONE, 50), {"state": 1000.0, "goal": 0.01}
    scaled = {name: factors[name] * values + 3.0 for name, values in metres.items()}
    contexts = []
    for seen in (metres, scaled):
        model = model_of(VECTORS_ALONE)
        model.init_from_data(seen, some_actions(VECTORS_ALONE, 50))
        contexts.append(model.context(seen))
    torch.testing.assert_close(*contexts, rtol=1e-3, atol=1e-3)


def test_a_number_that_never_changes_stays_finite() -> None:
    model, seen = model_of(VECTORS_ALONE), some_observations(VECTORS_ALONE, 50)
    seen["state"][:, 2] = 4.0
    model.init_from_data(seen, some_actions(VECTORS_ALONE, 50))
    assert model.context(seen).isfinite().all()


@every_spec
def test_normalised_actions_come_back(spec: EpisodeSpec) -> None:
    scale, actions = ActionScale(spec.action), some_actions(spec, 500)
    scale.init_from_data(actions)
    normalised = scale.normalised(actions)
    torch.testing.assert_close(scale.restored(normalised), actions, rtol=1e-5, atol=1e-4)
    low, high = scale.box()
    if spec.action.low is None:
        torch.testing.assert_close(normalised.std(0, correction=0), torch.ones(spec.action.dim))
        torch.testing.assert_close(scale.normalised(high), torch.full((14,), BOX_STDS))
    else:
        assert normalised.abs().max() <= 1.0
        assert low.tolist() == spec.action.low
        assert high.tolist() == spec.action.high


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@every_spec
def test_sight_sees_what_model_and_keypoints_see(spec: EpisodeSpec, precision) -> None:
    model = model_of(spec, FOVEAL if spec is TABLETOP_LIKE else None).requires_grad_(False)
    keypoints = Keypoints(spec.images, 4, 6).requires_grad_(False) if spec.images else None
    observations = some_observations(spec, 3)
    seen = Sight(model, keypoints, precision).see(observations)
    tolerance = {"rtol": 0.0, "atol": 1e-4 if precision == "fp32" else 0.3}
    torch.testing.assert_close(seen.context, model.context(observations), **tolerance)
    torch.testing.assert_close(seen.own, model.own_features(observations), **tolerance)
    if keypoints is None:
        assert seen.keypoints.shape == (3, 0)
    else:
        torch.testing.assert_close(seen.keypoints, keypoints(observations), **tolerance)


@pytest.mark.parametrize("size", [(48, 48), (25, 32), (31, 17)])
def test_keypoints_explain_images_of_any_size(size: tuple[int, int]) -> None:
    spec = spec_of(images={"camera": size})
    torch.manual_seed(0)
    autoencoder = KeypointAutoencoder(spec.images["camera"], 4, 6, 30.0)
    images = some_observations(spec, 2)["camera"]
    autoencoder.loss(images).backward()
    assert autoencoder.encoder(images).shape == (2, 12)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in autoencoder.parameters())
