"""A bounded log standard deviation keeps to its bounds, and a gradient leads back from them."""

from __future__ import annotations

import torch

from parrot_models.networks.gaussian import bounded_log_std


def test_it_lies_between_its_bounds_and_grows() -> None:
    raw = torch.linspace(-50.0, 50.0, 101, requires_grad=True)
    grown = bounded_log_std(raw, -4.0, 1.0)
    bounded = grown.detach()
    assert float(bounded.min()) == -4.0
    assert float(bounded.max()) == 1.0
    assert bool((bounded.diff() >= 0).all())
    assert float(bounded_log_std(torch.zeros(()), -4.0, 1.0)) == -1.5
    grown.sum().backward()
    assert raw.grad is not None
    assert float(raw.grad[50]) == 2.5
