"""Updates as CUDA graphs, on a GPU; without one the same agent updates eagerly, as tested here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rl_fakes import PARAMS, PointEnv

from parrot_models.methods.table import METHODS, make_agent
from parrot_models.rl.cuda_graph import NUM_EAGER, CapturedUpdate
from parrot_models.rl.replay import Batch
from parrot_models.rl.views import FEATURES
from tests.parrot_models.small_parts import small_part

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(),
    reason="CUDA graphs exist on a GPU alone, and this machine has none",
)
NUM_UPDATES = 3 * NUM_EAGER


class Part:
    """A prior on a device, as the table's methods want one."""

    def __init__(self, device):
        from rl_fakes import ONE_IMAGE

        from parrot_models.prior.acting_prior import ActingPrior

        prior = small_part("prior", ONE_IMAGE).to(device)
        acting = ActingPrior(prior, "fp32")
        self.__dict__.update(vars(acting))
        self.encode = acting.encode


def agent_on(device, method="parrot"):
    part = Part(device)
    view = METHODS[method].make_view(PointEnv().observation_space, part, PARAMS)
    return make_agent(METHODS[method], PARAMS, view, part, 0), view


def batches(view, count):
    rng = np.random.default_rng(0)
    width = view.observation_space[FEATURES].shape[0]

    def draw(*shape):
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    def observe():
        return {FEATURES: draw(8, width), "pose": draw(8, 8)}

    for _ in range(count):
        yield Batch(observe(), draw(8, 7).clamp(-2, 2), draw(8), torch.full((8,), 0.9), observe())


def test_on_the_cpu_nothing_is_captured():
    agent, view = agent_on(torch.device("cpu"))
    for batch in batches(view, 5):
        agent.update(batch)
    assert agent._captured == {}


@needs_gpu
def test_captured_updates_are_the_eager_ones():
    device = torch.device("cuda")
    (captured, view), (eager, _) = agent_on(device), agent_on(device)
    for step, batch in enumerate(batches(view, NUM_UPDATES)):
        critic_only = step < 5
        captured.update(batch, critic_only=critic_only)
        eager.update_at(batch.to(device), critic_only=critic_only)
    for name, value in captured.weights().items():
        torch.testing.assert_close(value, eager.weights()[name], rtol=1e-3, atol=1e-4)


@needs_gpu
def test_every_call_is_one_update_on_its_own_batch():
    device = torch.device("cuda")
    total = torch.zeros((), device=device)

    def update(batch):
        seen = torch.stack([tensor.float().sum() for tensor in batch.tensors()]).sum()
        total.add_(seen)
        return {"seen": seen}

    call = CapturedUpdate(update, torch.Generator(device), device)
    expected = 0.0
    _, view = agent_on(torch.device("cpu"))
    for batch in batches(view, NUM_UPDATES):
        of_batch = sum(tensor.float().sum().item() for tensor in batch.tensors())
        expected += of_batch
        assert call(batch)["seen"].item() == pytest.approx(of_batch, rel=1e-4, abs=1e-3)
    assert total.item() == pytest.approx(expected, rel=1e-4, abs=1e-2)


@needs_gpu
def test_a_restored_agent_learns_on_as_the_original():
    device = torch.device("cuda")
    original, view = agent_on(device)
    drawn = list(batches(view, NUM_UPDATES))
    for batch in drawn:
        original.update(batch)
    restored, _ = agent_on(device)
    restored.load_state_dict(original.state_dict())
    for batch in drawn[:NUM_EAGER]:
        infos = [agent.update(batch) for agent in (original, restored)]
        for name, value in infos[0].items():
            torch.testing.assert_close(value, infos[1][name], rtol=1e-3, atol=1e-4)
