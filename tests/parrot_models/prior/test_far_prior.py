"""A prior trains and acts far from the CPU: a tensor left there raises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from far_device import FAR, far_from_the_cpu
from small_priors import architecture_for

from parrot_data.episodes.spec import EpisodeSpec
from parrot_models.networks import device as devices
from parrot_models.networks.keypoints import KeypointAutoencoder
from parrot_models.prior.acting_prior import ActingPrior
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.training.augment import augmentation_of
from parrot_models.training.likelihood import negative_log_likelihood
from parrot_models.training.transitions import Batch
from tests.specs import SPECS, some_actions, some_observations

every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def make_prior(spec: EpisodeSpec) -> BehavioralPrior:
    return BehavioralPrior(architecture_for(spec)).to(FAR)


def some_batch(spec: EpisodeSpec, size: int = 8) -> Batch:
    return Batch(some_observations(spec, size), some_actions(spec, size))


@every_spec
def test_a_prior_is_trained_where_it_lies(spec) -> None:
    batch = some_batch(spec)
    names = [*(["mirror"] if spec.mirror else []), *(["colors"] if spec.images else [])]
    augmentation = augmentation_of(names, spec, "train_prior").informed_by(batch.observations)
    with far_from_the_cpu():
        prior = make_prior(spec)
        assert prior.device == FAR
        here = batch.to(FAR)
        prior.init_from_data(here.observations, here.actions)
        augmented = augmentation(batch, np.random.default_rng(0))
        loss = negative_log_likelihood(prior, augmented, "bf16")
        assert loss.device == FAR
        trained = [p for p in prior.parameters() if p.requires_grad]
        loss.backward(inputs=trained)
        assert {p.grad.device for p in trained if p.grad is not None} == {FAR}


def test_keypoints_are_trained_where_they_lie() -> None:
    spec = SPECS["one image"]
    with far_from_the_cpu():
        autoencoder = KeypointAutoencoder(spec.images["camera"], 4, 4, 30.0).to(FAR)
        loss = autoencoder.loss(devices.to_device(some_observations(spec, 8)["camera"], FAR))
        loss.backward()
        assert {p.grad.device for p in autoencoder.parameters()} == {FAR}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@every_spec
def test_a_prior_acts_where_it_lies(spec, precision) -> None:
    with far_from_the_cpu(), torch.inference_mode():
        prior = make_prior(spec).requires_grad_(False)
        acting = ActingPrior(prior, precision)
        batch = some_batch(spec, 3).to(acting.device)
        for each in (acting, prior):
            encoding = each.encode(batch.observations)
            actions = each.decode(batch.actions, encoding.context)
            assert {t.device for t in (*encoding, actions)} == {FAR}
        drawn = prior.sample(encoding.context, torch.Generator())
        assert drawn.device == FAR
