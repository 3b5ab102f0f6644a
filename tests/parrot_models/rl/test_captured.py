"""How often an update is called, captured and replayed, with stand-ins for torch.cuda's graphs.

A capture records without computing, and a replay computes what was recorded: the stand-in undoes
what happened while it was open, and a replay calls the update on the places it read.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import pytest
import torch

from parrot_models.rl import cuda_graph as captured
from parrot_models.rl.batch import Batch


class Stream:
    def __init__(self, _device=None):
        pass

    def wait_stream(self, _other):
        pass


class Graph:
    def __init__(self):
        self.generators, self.num_replays = [], 0

    def register_generator_state(self, generator):
        self.generators.append(generator)

    def replay(self):
        self.num_replays += 1
        self.recorded()


class Summing:
    """An update that adds up what it is given, in place."""

    def __init__(self):
        self.total = torch.zeros(())
        self.seen = torch.zeros(())
        self.num_calls = 0
        self.places = []

    def __call__(self, batch):
        self.num_calls += 1
        self.places.append([tensor.data_ptr() for tensor in batch.tensors()])
        self._compute(batch)
        self.recorded = lambda: self._compute(batch)
        return {"seen": self.seen}

    def _compute(self, batch):
        self.seen.copy_(sum(tensor.float().sum() for tensor in batch.tensors()))
        self.total.add_(self.seen)


@pytest.fixture
def update(monkeypatch):
    update = Summing()

    @contextmanager
    def capture(graph, stream):
        before = update.total.clone(), update.seen.clone()
        yield
        update.total.copy_(before[0])
        update.seen.copy_(before[1])
        graph.recorded = update.recorded

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "stream", lambda _stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(captured, "pinned", lambda tensor: tensor)
    return update


def batch(value):
    seen = {"features": torch.full((2, 3), value)}
    return Batch(
        seen, torch.full((2, 1), value), torch.full((2,), value), torch.ones(2), dict(seen)
    )


def test_every_call_is_one_update_on_its_own_batch(update):
    generator = torch.Generator()
    call = captured.CapturedUpdate(update, generator, torch.device("cpu"))
    values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    totals = []
    for value in values:
        expected = sum(tensor.sum() for tensor in batch(value).tensors())
        assert call(batch(value))["seen"] == expected
        totals.append(expected)
        assert update.total == sum(totals)
    assert update.num_calls == captured.NUM_EAGER + 1  # the last of them only recorded
    assert call._graph.num_replays == len(values) - captured.NUM_EAGER
    assert call._graph.generators == [generator]


def test_a_graph_reads_the_places_that_every_batch_is_copied_to(update):
    call = captured.CapturedUpdate(update, torch.Generator(), torch.device("cpu"))
    for value in range(6):
        call(batch(float(value)))
    assert all(places == update.places[0] for places in update.places)
