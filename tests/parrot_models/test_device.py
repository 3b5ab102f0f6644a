"""Everything that trains and acts, far from the CPU: a tensor left there raises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from far_device import FAR, far_from_the_cpu

from parrot_data.errors import UserError
from parrot_models.baselines.bc_model import BehaviorCloning, CloneArchitecture
from parrot_models.methods.bc_sac import Clone
from parrot_models.networks import device as devices
from parrot_models.networks.image_encoder import make_encoder
from parrot_models.networks.keypoints import KeypointAutoencoder, KeypointEncoder
from parrot_models.prior.acting_prior import ActingPrior
from parrot_models.prior.architecture import PriorArchitecture
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.rl.batch import Batch
from parrot_models.rl.sac import SAC, actions_as_given
from parrot_models.training import transitions
from parrot_models.training.augment import augment
from parrot_models.training.likelihood import negative_log_likelihood


def make_prior(encoder="foveal"):
    prior = BehavioralPrior(
        PriorArchitecture(
            image_size=48, proprioception=True, encoder=encoder, feature_dim=6, window_dim=0,
            num_keypoints=4, keypoint_width=4, context_dim=8, num_layers=2,
            hidden=[8], max_log_scale=2.0,
        )
    )  # fmt: skip
    return prior.to(FAR)


def transitions_on_host(size=8):
    return transitions.Batch(
        torch.zeros(size, 48, 48, 3, dtype=torch.uint8), torch.rand(size, 8), torch.rand(size, 7)
    )


def make_agent(observe, executed=actions_as_given):
    encoder = make_encoder("fast", 8) if observe == "image" else None
    return SAC(
        vector_dims={"proprioception": 8} | ({} if encoder else {"features": 4}),
        encoder=encoder, encoder_dim=8 if encoder else 0,
        action_low=-np.ones(7, np.float32), action_high=np.ones(7, np.float32),
        critic_action_dim=7, executed=executed, hidden=[16, 16], learning_rate=3e-4, polyak=0.01,
        initial_temperature=0.01, target_entropy=-7.0, initial_std=0.5, observation_noise=0.2,
        precision="bf16", generator=torch.Generator(), device=FAR,
    )  # fmt: skip


def observations(size):
    return {
        "image": torch.zeros(size, 48, 48, 3, dtype=torch.uint8),
        "features": torch.rand(size, 4),
        "proprioception": torch.rand(size, 8),
        "context": torch.rand(size, 8),
    }


def rl_batch(size=8):
    return Batch(
        observations(size), torch.rand(size, 7), torch.rand(size), torch.rand(size),
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


@pytest.mark.parametrize("encoder", ["foveal", "fast", "paper"])
def test_a_prior_is_trained_where_it_lies(encoder):
    with far_from_the_cpu():
        prior = make_prior(encoder)
        assert prior.device == FAR
        batch = augment(transitions_on_host(), np.random.default_rng(0))
        loss = negative_log_likelihood(prior, batch, "bf16")
        assert loss.device == FAR
        trained = [p for p in prior.parameters() if p.requires_grad]
        loss.backward(inputs=trained)
        assert {p.grad.device for p in trained if p.grad is not None} == {FAR}


def test_keypoints_are_trained_where_they_lie():
    with far_from_the_cpu():
        autoencoder = KeypointAutoencoder(48, 4, 4, 30.0).to(FAR)
        images = devices.to_device(transitions_on_host().images, FAR)
        loss = autoencoder.loss(images)
        loss.backward()
        assert {p.grad.device for p in autoencoder.parameters()} == {FAR}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_clone_and_its_keypoints_see_where_they_lie(precision):
    with far_from_the_cpu(), torch.inference_mode():
        architecture = CloneArchitecture(
            image_size=48, proprioception=True, encoder="foveal", feature_dim=6, window_dim=0,
            context_dim=8, hidden=[8],
        )  # fmt: skip
        policy = BehaviorCloning(architecture).to(FAR).requires_grad_(False)
        keypoints = KeypointEncoder(48, 4, 4).to(FAR).requires_grad_(False)
        clone = Clone(policy, keypoints, precision)
        batch = transitions_on_host(3).to(clone.device)
        encoding = clone.encode(batch.images, batch.proprioception)
        actions = clone.decode(batch.actions, encoding.context)
        assert {t.device for t in (*encoding, actions)} == {FAR}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_prior_acts_where_it_lies(precision):
    with far_from_the_cpu(), torch.inference_mode():
        acting = ActingPrior(make_prior().requires_grad_(False), precision)
        batch = transitions_on_host(3).to(acting.device)
        encoding = acting.encode(batch.images, batch.proprioception)
        actions = acting.decode(batch.actions, encoding.context)
        assert {t.device for t in (*encoding, actions)} == {FAR}


@pytest.mark.parametrize("encoder", ["foveal", "fast"])
def test_a_prior_encodes_and_decodes_where_it_lies(encoder):
    with far_from_the_cpu(), torch.inference_mode():
        prior = make_prior(encoder)
        batch = transitions_on_host(3).to(FAR)
        encoding = prior.encode(batch.images, batch.proprioception)
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
