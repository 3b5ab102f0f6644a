"""What is asked for is a precision; a processor comes by it as it can, and in no other way."""

from __future__ import annotations

import pytest
import torch
from processors import PROCESSORS, processor

from parrot_models.networks.device import CPU
from parrot_models.networks.precision import (
    dtype_in,
    in_float32,
    layers_in,
    products_in,
    products_of,
)

WANTED = {"AMX": "matmul", "AVX512_BF16": "autocast", "neither": "float32"}


@pytest.mark.parametrize("kind", PROCESSORS)
def test_a_processor_does_what_it_can(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, *PROCESSORS[kind])
    assert products_of("bf16", CPU) == WANTED[kind]
    assert products_of("fp32", CPU) == "float32"
    assert products_of("bf16", torch.device("cuda")) == "matmul"
    dtype = torch.float32 if kind == "neither" else torch.bfloat16
    assert dtype_in("bf16", CPU) == dtype
    assert dtype_in("fp32", CPU) == torch.float32
    layer, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    with layers_in("bf16", CPU):
        assert layer(x).dtype == dtype
    with layers_in("fp32", CPU):
        assert layer(x).dtype == torch.float32
    assert layer(x).dtype == torch.float32


@pytest.mark.parametrize("kind", PROCESSORS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_block_that_fails_leaves_nothing_behind(
    kind: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(monkeypatch, *PROCESSORS[kind])
    before = torch.get_float32_matmul_precision()
    with pytest.raises(ZeroDivisionError), products_in(precision, CPU):  # type: ignore[arg-type]
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == before
    assert not torch.is_autocast_enabled("cpu")


def test_a_step_of_an_optimizer_inside_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast would remember a weight that it has rounded."""
    processor(monkeypatch, *PROCESSORS["AVX512_BF16"])
    layer, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    optimizer = torch.optim.SGD(layer.parameters(), 1.0)
    with products_in("bf16", CPU):
        first = layer(x)
        first.sum().backward()
        optimizer.step()
        second = layer(x)
    torch.testing.assert_close(second.float(), first.float() - 4, atol=0.05, rtol=0.02)


def test_a_layer_in_float32_is_exact_and_differentiable(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, *PROCESSORS["AVX512_BF16"])
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(64, 2), torch.randn(5, 64, requires_grad=True)
    exact = layer(x)
    with products_in("bf16", CPU):
        rounded, found = layer(x), in_float32(layer, x)
    assert found.equal(exact)
    assert not rounded.float().equal(exact)
    (of_found,) = torch.autograd.grad(found.sum(), x)
    (of_exact,) = torch.autograd.grad(exact.sum(), x)
    assert of_found.equal(of_exact)
