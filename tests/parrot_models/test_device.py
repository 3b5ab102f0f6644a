"""Everything that trains and acts, far from the CPU: a tensor left there raises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from far_device import FAR, far_from_the_cpu
from rl_fakes import PARAMS

from parrot_data.episodes.spec import EpisodeSpec, ImageSpec
from parrot_data.errors import UserError
from parrot_models.baselines.bc_model import BehaviorCloning, CloneArchitecture
from parrot_models.baselines.keypoints import keypoints_of
from parrot_models.methods.bc_sac import Clone
from parrot_models.networks import device as devices
from parrot_models.networks.image_encoder import make_image_encoder
from parrot_models.networks.keypoints import KeypointAutoencoder
from parrot_models.networks.params import KeypointArchitecture
from parrot_models.prior.acting_prior import ActingPrior
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.rl.networks import Actor, Critic, Trunk
from parrot_models.rl.replay import Batch
from parrot_models.rl.sac import SAC, Networks, actions_as_given
from parrot_models.training import transitions
from parrot_models.training.augment import augmentation_of
from parrot_models.training.likelihood import negative_log_likelihood
from tests.parrot_models.small_parts import KEYPOINTS
from tests.parrot_models.small_priors import FOVEAL, architecture_for
from tests.specs import (
    SPECS,
    TABLETOP_LIKE,
    TWO_IMAGES,
    VECTORS_ALONE,
    encoder_for,
    some_observations,
)

ACTION_DIM = TABLETOP_LIKE.action.dim


def make_prior(spec=TABLETOP_LIKE, **changes):
    return BehavioralPrior(architecture_for(spec, **changes)).to(FAR)


def transitions_on_host(spec=TABLETOP_LIKE, size=8):
    return transitions.Batch(some_observations(spec, size), torch.rand(size, spec.action.dim))


def make_agent(observe, executed=actions_as_given):
    generator, image = torch.Generator(), ImageSpec(height=36, width=52)
    encoders = {"front": make_image_encoder("fast", image, 8)} if observe == "image" else {}
    dims = {"pose": 8} if observe == "image" else {"features": 4, "pose": 8}
    trunk = Trunk(dims, encoders, 8 if encoders else 0)
    box = -torch.ones(ACTION_DIM), torch.ones(ACTION_DIM)
    actor = Actor(trunk.output_dim, *box, [16, 16], 0.5, generator)
    critic = Critic(trunk.output_dim, ACTION_DIM, [16, 16], 2, generator)
    params = PARAMS.model_copy(update={"precision": "bf16"})
    return SAC(
        Networks(trunk, actor, critic), params, executed=executed, generator=generator, device=FAR
    )


def observations(size):
    return {
        "front": torch.zeros(size, 36, 52, 3, dtype=torch.uint8),
        "features": torch.rand(size, 4),
        "pose": torch.rand(size, 8),
        "context": torch.rand(size, 8),
    }


def rl_batch(size=8):
    return Batch(
        observations(size), torch.rand(size, ACTION_DIM), torch.rand(size), torch.rand(size),
        observations(size),
    )  # fmt: skip


def test_the_far_device_sees_what_it_is_there_to_see():
    with far_from_the_cpu():
        far, near = torch.ones(3, 3, device=FAR), torch.ones(3, 3)
        for meet in (torch.add, torch.matmul, torch.minimum, torch.nn.functional.linear):
            with pytest.raises(RuntimeError, match="cpu"):
                meet(far, near)
        with pytest.raises(RuntimeError, match="item"):
            far.sum().item()


ENCODERS = {
    "foveal": (TABLETOP_LIKE, FOVEAL),
    "fast": (TWO_IMAGES, {"kind": "fast", "feature_dim": 6}),
    "paper": (TWO_IMAGES, {"kind": "paper", "feature_dim": 6}),
    "vector": (VECTORS_ALONE, {"kind": "vector"}),
}


@pytest.mark.parametrize(("spec", "encoder"), ENCODERS.values(), ids=ENCODERS)
def test_a_prior_is_trained_where_it_lies(spec, encoder):
    names = ["mirror", "colors"] if spec.mirror else ["colors"] if spec.images else []
    augmentation = augmentation_of(names, spec, "train_prior")
    with far_from_the_cpu():
        prior = make_prior(spec, encoder=encoder)
        assert prior.device == FAR
        batch = augmentation(transitions_on_host(spec), np.random.default_rng(0))
        loss = negative_log_likelihood(prior, batch, "bf16")
        assert loss.device == FAR
        trained = [p for p in prior.parameters() if p.requires_grad]
        loss.backward(inputs=trained)
        assert {p.grad.device for p in trained if p.grad is not None} == {FAR}


def test_keypoints_are_trained_where_they_lie():
    with far_from_the_cpu():
        autoencoder = KeypointAutoencoder(ImageSpec(height=36, width=52), 4, 4, 30.0).to(FAR)
        images = devices.to_device(observations(8)["front"], FAR)
        loss = autoencoder.loss(images)
        loss.backward()
        assert {p.grad.device for p in autoencoder.parameters()} == {FAR}


def make_clone(spec: EpisodeSpec, precision) -> Clone:
    encoder = FOVEAL if spec.cameras else encoder_for(spec)
    values = {"spec": spec, "encoder": encoder, "context_dim": 8, "hidden": [8]}
    policy = BehaviorCloning(CloneArchitecture.model_validate(values)).to(FAR)
    beside = None
    if spec.images:
        keypoints = keypoints_of(KeypointArchitecture.model_validate(KEYPOINTS), spec)
        beside = keypoints.to(FAR).requires_grad_(False)
    return Clone(policy.requires_grad_(False), beside, precision)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_an_agent_sees_with_acts_where_it_lies(precision, spec):
    with far_from_the_cpu(), torch.inference_mode():
        prior = ActingPrior(make_prior(spec).requires_grad_(False), precision)
        for part in (prior, make_clone(spec, precision)):
            batch = transitions_on_host(spec, 3).to(part.device)
            encoding = part.encode(batch.observations)
            actions = part.decode(batch.actions, encoding.context)
            assert {t.device for t in (*encoding, actions)} == {FAR}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_prior_encodes_and_decodes_where_it_lies(spec):
    with far_from_the_cpu(), torch.inference_mode():
        prior = make_prior(spec)
        batch = transitions_on_host(spec, 3).to(FAR)
        encoding = prior.encode(batch.observations)
        actions = prior.decode(batch.actions, encoding.context)
        drawn = prior.sample(encoding.context, torch.Generator())
        assert {t.device for t in (*encoding, actions, drawn)} == {FAR}


@pytest.mark.parametrize("observe", ["features", "image"])
@pytest.mark.parametrize("critic_only", [False, True])
@pytest.mark.parametrize("critics_judge", ["latent", "executed"])
def test_an_update_stays_on_the_device_and_waits_for_nothing(observe, critic_only, critics_judge):
    with far_from_the_cpu():
        prior = make_prior().requires_grad_(False)

        def decoded(z, seen):
            return prior.decode(z, seen["context"])

        executed = decoded if critics_judge == "executed" else actions_as_given
        agent = make_agent(observe, executed)
        agent.scale_learning_rates(0.5)
        for _ in range(2):
            info = agent.update_at(rl_batch().to(FAR), critic_only=critic_only)
        assert {value.device for value in info.values()} == {FAR}
        assert {p.device for p in agent.critic.parameters()} == {FAR}


@pytest.mark.parametrize("deterministic", [False, True])
def test_an_agent_acts_on_what_the_host_saw(deterministic):
    with far_from_the_cpu():
        agent = make_agent("image")
        seen = {k: devices.to_device(v, FAR) for k, v in observations(4).items()}
        encoded = agent.trunk(seen)
        actions = (
            agent.actor.mode(encoded)
            if deterministic
            else agent.actor.sample(encoded, agent.generator)[0]
        )
        assert actions.device == FAR


def test_a_device_is_named_or_the_user_told():
    assert devices.named_device("cpu") == devices.CPU
    if torch.cuda.is_available():
        assert devices.named_device("auto").type == "cuda"
    else:
        assert devices.named_device("auto") == devices.CPU
        with pytest.raises(UserError, match="finds 0 CUDA devices"):
            devices.named_device("cuda")
    for name in ("cuda:99", "tpu", "meta", "cuda:x", ""):
        with pytest.raises(UserError, match="device"):
            devices.named_device(name)


def test_a_learning_rate_in_a_tensor_stays_the_tensor_a_graph_holds():
    weight = torch.nn.Parameter(torch.ones(2))
    rate = torch.tensor(0.1)
    optimizer = torch.optim.Adam([weight], rate, foreach=False, capturable=False)
    devices.set_learning_rate(optimizer, 0.05)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(0.05)
    saved = devices.on_host(optimizer.state_dict())
    devices.restore(optimizer, {**saved, "param_groups": [{**saved["param_groups"][0], "lr": 0.2}]})
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(0.2)
