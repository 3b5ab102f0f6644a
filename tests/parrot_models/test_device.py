"""Everything that trains and acts, on a fake GPU: a tensor left on the CPU raises."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_cuda import GPU, fake_cuda
from torch._subclasses.fake_tensor import DataDependentOutputException

from parrot_data.errors import UserError
from parrot_models.networks import device as devices
from parrot_models.networks.image_encoder import make_encoder
from parrot_models.networks.keypoints import KeypointAutoencoder
from parrot_models.networks.precision import layers_in
from parrot_models.networks.spatial_softmax import SpatialSoftmax, _Attend, attend
from parrot_models.prior import transitions
from parrot_models.prior.augment import augment
from parrot_models.prior.behavioral_prior import BehavioralPrior, PriorArchitecture
from parrot_models.prior.likelihood import negative_log_likelihood
from parrot_models.rl import agent as agents
from parrot_models.rl.batch import Batch
from parrot_models.rl.sac import SAC, actions_as_given

ignore_absent_cuda = pytest.mark.filterwarnings("ignore:.*CUDA is not available")


def make_prior(encoder="foveal"):
    prior = BehavioralPrior(
        PriorArchitecture(
            image_size=48, proprioception=True, encoder=encoder, feature_dim=6, num_keypoints=4,
            keypoint_width=4, context_dim=8, num_layers=2, hidden=[8], max_log_scale=2.0,
        )
    )  # fmt: skip
    return prior.to(GPU)


def transitions_on_host(size=8):
    return transitions.Batch(
        torch.zeros(size, 48, 48, 3, dtype=torch.uint8), torch.rand(size, 8), torch.rand(size, 7)
    )


def make_agent(monkeypatch, observe, executed=actions_as_given):
    monkeypatch.setattr(agents, "noise_generator", lambda generator, _device: generator)
    encoder = make_encoder("fast", 8) if observe == "image" else None
    return SAC(
        vector_dims={"proprioception": 8} | ({} if encoder else {"features": 4}),
        encoder=encoder, encoder_dim=8 if encoder else 0,
        action_low=-np.ones(7, np.float32), action_high=np.ones(7, np.float32),
        critic_action_dim=7, executed=executed, hidden=[16, 16], learning_rate=3e-4, polyak=0.01,
        initial_temperature=0.01, target_entropy=-7.0, initial_std=0.5, observation_noise=0.2,
        precision="bf16", generator=torch.Generator(), device=GPU,
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


def test_the_fake_gpu_sees_what_it_is_there_to_see():
    with fake_cuda():
        on_gpu = torch.ones(3, device=GPU)
        with pytest.raises(RuntimeError, match="same device"):
            on_gpu + torch.ones(3)
        with pytest.raises(DataDependentOutputException):
            on_gpu.sum().item()


@ignore_absent_cuda
@pytest.mark.parametrize("encoder", ["foveal", "fast", "paper"])
def test_a_prior_is_trained_where_it_lies(encoder):
    with fake_cuda():
        prior = make_prior(encoder)
        assert prior.device == GPU
        batch = augment(transitions_on_host(), np.random.default_rng(0))
        loss = negative_log_likelihood(prior, batch, "bf16")
        assert loss.device == GPU
        optimizer = torch.optim.AdamW(prior.parameters(), fused=True)
        loss.backward(inputs=list(prior.parameters()))
        torch.nn.utils.clip_grad_norm_(list(prior.parameters()), 1.0)
        optimizer.step()
        host = devices.on_host({"module": prior.state_dict(), "optimizer": optimizer.state_dict()})
        assert {tensor.device.type for tensor in host["module"].values()} == {"cpu"}


@ignore_absent_cuda
def test_keypoints_are_trained_where_they_lie():
    with fake_cuda():
        autoencoder = KeypointAutoencoder(48, 4, 4, 30.0).to(GPU)
        images = devices.to_device(transitions_on_host().images, GPU)
        with layers_in("bf16", GPU):
            assert autoencoder.loss(images).device == GPU


def test_the_backward_pass_written_by_hand_stays_on_the_device():
    with fake_cuda(), torch.no_grad():
        maps, pull = torch.rand(5, 4, 24, 24, device=GPU), torch.rand(5, 4, 3, device=GPU)
        spatial = SpatialSoftmax(24, 4, 1.0).to(GPU)
        results = attend(maps, spatial.sharpness, pull, spatial.basis)
        saved = SimpleNamespace(
            saved_tensors=(maps, spatial.sharpness, pull, spatial.basis, *results)
        )
        backward = _Attend.backward.__wrapped__
        gradients = backward(saved, *map(torch.ones_like, results[:2]))
        assert {gradient.device for gradient in gradients if gradient is not None} == {GPU}


@ignore_absent_cuda
@pytest.mark.parametrize("encoder", ["foveal", "fast"])
def test_a_prior_encodes_and_decodes_where_it_lies(encoder):
    with fake_cuda(), torch.inference_mode():
        prior = make_prior(encoder)
        batch = transitions_on_host(3).to(GPU)
        encoding = prior.encode(batch.images, batch.proprioception)
        actions = prior.decode(batch.actions, encoding.context)
        drawn = prior.sample(encoding.context, torch.Generator())
        assert {t.device for t in (*encoding, actions, drawn)} == {GPU}


@ignore_absent_cuda
@pytest.mark.parametrize("observe", ["features", "image"])
@pytest.mark.parametrize("critic_only", [False, True])
@pytest.mark.parametrize("critics_judge", ["latent", "executed"])
def test_an_update_stays_on_the_device_and_waits_for_nothing(
    monkeypatch, observe, critic_only, critics_judge
):
    with fake_cuda():
        prior = make_prior().requires_grad_(False)

        def decoded(z, seen):
            return prior.decode(z, seen["context"])

        executed = decoded if critics_judge == "executed" else actions_as_given
        agent = make_agent(monkeypatch, observe, executed)
        agent.scale_learning_rates(0.5)
        for _ in range(2):
            info = agent.update_at(rl_batch().to(GPU), critic_only=critic_only)
        assert {value.device for value in info.values()} == {GPU}
        assert {p.device for p in agent.critic.parameters()} == {GPU}


@ignore_absent_cuda
@pytest.mark.parametrize("deterministic", [False, True])
def test_an_agent_acts_on_what_the_host_saw(monkeypatch, deterministic):
    with fake_cuda():
        agent = make_agent(monkeypatch, "image")
        seen = {k: devices.to_device(v, GPU) for k, v in observations(4).items()}
        encoded = agent.trunk(seen)
        actions = (
            agent.actor.mode(encoded)
            if deterministic
            else agent.actor.sample(encoded, agent.generator)[0]
        )
        assert actions.device == GPU
        assert actions.cpu().device.type == "cpu"


@ignore_absent_cuda
def test_what_a_file_holds_lies_on_the_cpu(monkeypatch):
    def tensors(state):
        if isinstance(state, torch.Tensor):
            yield state
        elif isinstance(state, (dict, list)):
            for value in state.values() if isinstance(state, dict) else state:
                yield from tensors(value)

    with fake_cuda():
        agent = make_agent(monkeypatch, "image")
        agent.update_at(rl_batch().to(GPU), critic_only=False)
        state = agent.state_dict()
        assert len(list(tensors(state["optimizers"]))) > 10
        assert {tensor.device.type for tensor in tensors(state)} == {"cpu"}


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
